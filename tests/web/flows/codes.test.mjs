// Codes that exist: verified, and used to bring a key back.
import { strict as assert } from 'node:assert';
import { after, before, test } from 'node:test';
import { flows, KEY_FILE, LIVE, OTHER, RECORD } from '../browser.mjs';

const flow = flows({ before, after, test });

const swap = ([first, second, ...rest]) => [second, first, ...rest];

async function verify(page, ui, words, check) {
    await ui.click('Verify Code');
    await ui.type(words);
    if (check) {
        await page.getByRole('textbox', { name: 'Check characters' }).fill(check);
    }
    await ui.click('Verify');
    let answer = ui.window().locator('[role=status]').last();
    await page.waitForFunction((element) => element.textContent.trim() !== '', await answer.elementHandle());
    let text = await answer.innerText();
    await page.keyboard.press('Escape');
    return text;
}

flow('verify a right, a mistyped and a wrong code', async ({ page, ui, server }) => {
    await ui.openStorage('backup1');
    let { words, check } = await ui.create({ label: 'Safe' });
    let [before] = await server.run(['slurp', KEY_FILE]);

    assert.match(await verify(page, ui, words), /Right: the code opens the seal 'Safe'/);
    assert.match(await verify(page, ui, words, check), /Right/);
    assert.match(await verify(page, ui, swap(words), check), /check characters/);
    assert.match(await verify(page, ui, swap(words)), /wrong recovery code/);

    await ui.click('Verify Code');
    await ui.type(['zzzzz']);
    await page.getByLabel('Not in the word list').waitFor();
    assert.equal(await ui.button('Verify').isDisabled(), true);
    assert.deepEqual(await server.run(['slurp', KEY_FILE]), [before]);
});

flow('recover on a node without the key, from its record', async ({ page, ui, server }) => {
    await ui.openStorage('backup1');
    let { words } = await ui.create();
    await server.run(['remove', KEY_FILE]);
    await ui.click('Reload');
    await page.locator('td', { hasText: /^Key is missing$/ }).waitFor();

    await ui.click('Recover');
    await ui.click('Next');
    await page.getByText('The key becomes that of the storage').waitFor();
    await ui.click('Next');
    await ui.type(words);
    await ui.click('Recover');
    await page.getByText("Storage 'backup1' has the key now.").waitFor();
    await ui.click('Finish');
    let [key] = await server.run(['slurp', KEY_FILE]);
    assert.equal(JSON.parse(key).fingerprint, LIVE);
    assert.equal(JSON.parse(key).kdf, null);
});

flow('recover from a copy on another storage', async ({ page, ui, server }) => {
    await ui.openStorage('backup1');
    let { words } = await ui.create();
    await server.run(['remove', KEY_FILE], ['remove', RECORD], ['remove', RECORD.replace('/etc/pve/priv/escrow', '/var/lib/pve-escrow/records')]);
    await ui.click('Reload');
    await page.locator('td', { hasText: /^Key is missing$/ }).waitFor();
    await ui.click('Recover');
    await page.getByText('A copy of the kit on another storage').click();
    assert.equal(await page.getByRole('combobox', { name: 'Storage' }).inputValue(), 'usb');
    await ui.click('Next');
    await ui.click('Next');
    await ui.type(words);
    await ui.click('Recover');
    await page.getByText("Storage 'backup1' has the key now.").waitFor();
    let [key] = await server.run(['slurp', KEY_FILE]);
    assert.equal(JSON.parse(key).fingerprint, LIVE);
});

const DIFFERENT = { backup1: { username: 'backup@pbs', 'encryption-key': OTHER } };

flow('a kit brings a key back over another one, once that is named', async ({ page, ui, server }) => {
    await ui.openStorage('backup1');
    let { words } = await ui.create();
    let [{ kit }] = await server.run(['call', 'root@pam', 'GET', 'backup1/escrow/kit', {}]);
    await server.run(['storage_cfg', DIFFERENT], ['put_key', 'backup1', 'other.enc']);
    await ui.click('Reload');
    await page.locator('td', { hasText: OTHER.slice(0, 23) }).first().waitFor();

    await ui.click('Recover');
    await page.getByText('A kit, or a sealed key file').click();
    await page.locator('input[type=file]').setInputFiles({ name: 'k<i>t.json', mimeType: 'application/json', buffer: Buffer.from(kit) });
    await page.getByText('k<i>t.json').waitFor();
    await ui.click('Next');
    await page.getByText('It is displaced, and kept').waitFor();
    let plan = await ui.window().innerText();
    assert.ok(plan.includes(LIVE.slice(0, 23)) && plan.includes(OTHER.slice(0, 23)), 'both fingerprints');
    assert.equal(await ui.button('Next').isDisabled(), true);
    let name = page.getByRole('textbox', { name: 'Fingerprint of the present key' });
    await name.fill(LIVE.slice(0, 23));
    assert.equal(await ui.button('Next').isDisabled(), true, 'not that one');
    await name.fill(OTHER.slice(0, 23));
    await ui.click('Next');
    await ui.type(words);
    await ui.click('Recover');
    await page.getByText('The key that was there is kept').waitFor();

    let [key, kept] = await server.run(['slurp', KEY_FILE], ['names', '/var/lib/pve-escrow/kept/*']);
    assert.equal(JSON.parse(key).fingerprint, LIVE);
    assert.ok(kept.length > 0);
});

flow('the server refuses to displace a key that was not named', async ({ page, ui, server }) => {
    await ui.openStorage('backup1');
    let { words } = await ui.create();
    await ui.click('Recover');
    await ui.click('Next');
    await page.getByText('Nothing is changed').waitFor();
    await ui.click('Next');
    // somebody changes the key meanwhile
    await server.run(['storage_cfg', DIFFERENT], ['put_key', 'backup1', 'other.enc']);
    let [before] = await server.run(['slurp', KEY_FILE]);
    await ui.type(words);
    await ui.click('Recover');
    await page.getByText(`but ${OTHER} is needed. Nothing was changed`).waitFor();
    assert.deepEqual(await server.run(['slurp', KEY_FILE]), [before]);
});

flow('what is no kit is not taken', async ({ page, ui }) => {
    await ui.openStorage('backup1');
    await ui.click('Recover');
    await page.getByText('A kit, or a sealed key file').click();
    for (const text of ['no JSON', '{}', JSON.stringify({ data: 'x' })]) {
        await page.locator('input[type=file]').setInputFiles({ name: 'x.json', mimeType: 'application/json', buffer: Buffer.from(text) });
        await page.getByText('neither a kit nor a sealed key file').waitFor();
        assert.equal(await ui.button('Next').isDisabled(), true);
    }
});

flow('a new cluster gets its storage and key from a kit', async ({ page, ui, server }) => {
    await ui.openStorage('backup1');
    let { words } = await ui.create();
    let [{ kit }] = await server.run(['call', 'root@pam', 'GET', 'backup1/escrow/kit', {}]);
    await server.run(['fresh'], ['storage_cfg', {}]);
    await ui.openDatacenter();
    await ui.click('Recover from Kit');
    await page.locator('input[type=file]').setInputFiles({ name: 'kit.json', mimeType: 'application/json', buffer: Buffer.from(kit) });
    await page.getByRole('textbox', { name: 'Storage ID' }).fill('backup1');
    await page.getByRole('textbox', { name: 'Password' }).fill('secret');
    await ui.click('Next');
    await page.getByText('The storage is added as the kit says').waitFor();
    await ui.click('Next');
    await ui.type(words);
    await ui.click('Recover');
    await page.getByText("Storage 'backup1' has the key now.").waitFor();
    let [key, config] = await server.run(['slurp', KEY_FILE], ['slurp', '/etc/pve/storage.cfg']);
    assert.equal(JSON.parse(key).fingerprint, LIVE);
    assert.match(config, /pbs: backup1[^]*server 192\.0\.2\.10/);
});

flow('the kit is saved, and opens nothing by itself', async ({ page, ui }) => {
    await ui.openStorage('backup1');
    let { words } = await ui.create();
    let [download] = await Promise.all([page.waitForEvent('download'), ui.choose('Kit', 'Download')]);
    assert.equal(download.suggestedFilename(), 'backup1.escrow-kit.json');
    let chunks = [];
    for await (const chunk of await download.createReadStream()) {
        chunks.push(chunk);
    }
    let kit = JSON.parse(Buffer.concat(chunks));
    assert.equal(kit.fingerprint, LIVE);
    assert.ok(!JSON.stringify(kit).includes(words[0] + ' ' + words[1]));
});

flow('the kit is printed as a sheet, in which nothing runs and nothing of the words is', async ({ page, ui, seen }) => {
    await ui.openStorage('backup1');
    let { words, check } = await ui.create();
    await ui.catchPrints();
    await ui.choose('Kit', 'Print');
    let sheet = await ui.printed();
    for (const text of [LIVE, 'backup1', '192.0.2.10', 'pve-escrow-rescue', '<svg ']) {
        assert.ok(sheet.includes(text), text);
    }
    assert.ok(!sheet.includes(`${words[0]} ${words[1]}`) && !sheet.includes(check));
    let { sandbox, font, nodes } = await page.locator('iframe').evaluate((frame) => ({
        sandbox: frame.getAttribute('sandbox'),
        font: frame.contentWindow.getComputedStyle(frame.contentDocument.querySelector('pre')).fontFamily,
        nodes: frame.contentDocument.querySelectorAll('script, [src], [href], [onload], [onerror]').length,
    }));
    assert.equal(sandbox, 'allow-same-origin allow-modals', 'no scripts');
    assert.equal(font, 'monospace', 'it has its style');
    assert.equal(nodes, 0);
    assert.ok(!seen.urls.some((url) => /^(blob|data):/.test(url)));
    await page.locator('.x-tree-node-text', { hasText: /^Datacenter$/ }).click();
    await page.locator('iframe').waitFor({ state: 'detached' });
    assert.deepEqual(seen.errors, []);
});

flow('words that a program types, or a quick hand, are marked, the last one too', async ({ page, ui }) => {
    await ui.openStorage('backup1');
    await ui.create();
    await ui.click('Verify Code');
    for (let n = 1; n <= 10; n++) {
        await page.getByRole('combobox', { name: `Word ${n} of 10`, exact: true }).pressSequentially(n % 2 ? 'jazz ' : 'yo-yo ');
    }
    await page.waitForFunction(() => document.querySelectorAll('.x-window [aria-label=right]').length === 10);
    assert.equal(await ui.button('Verify').isDisabled(), false);
});

flow('what is copied is in the clipboard, whole', async ({ page, ui }) => {
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    let clipboard = () => page.evaluate(() => window.navigator.clipboard.readText());
    await ui.openStorage('backup1');
    await page.locator(`button[data-copy="${LIVE}"]`).first().click();
    assert.equal(await clipboard(), LIVE);
    await ui.click('Create');
    await ui.click('Show the Words');
    let words = await ui.words();
    await ui.click('Copy');
    let text = await clipboard();
    for (const word of words) {
        assert.ok(text.includes(word), word);
    }
    assert.equal(await page.locator('textarea').count(), 0, 'and nowhere else');
});

flow(
    'without https, a page still copies',
    async ({ page, ui }) => {
        assert.equal(await page.evaluate(() => window.navigator.clipboard), undefined);
        await ui.openStorage('backup1');
        await page.locator(`button[data-copy="${LIVE}"]`).first().click();
        await ui.openDatacenter();
        let filter = page.getByRole('textbox', { name: 'Filter' }).first();
        await filter.click();
        await page.keyboard.press('Control+V');
        assert.equal(await filter.inputValue(), LIVE);
    },
    { route: (page) => page.addInitScript(() => delete window.Navigator.prototype.clipboard) },
);

for (const [name, refuse] of Object.entries({
    'says no': () => (document.execCommand = () => false),
    throws: () => (document.execCommand = () => { throw new Error('no'); }),
})) {
    flow(`it is said when the browser ${name}, and the words stay where they are`, async ({ page, ui, seen }) => {
        await page.evaluate(refuse);
        await ui.openStorage('backup1');
        await page.locator(`button[data-copy="${LIVE}"]`).first().click();
        await page.getByText('nothing is in the clipboard').waitFor();
        await ui.click('OK');
        await ui.click('Create');
        await ui.click('Show the Words');
        let words = await ui.words();
        await ui.click('Copy');
        await page.getByText('Select the text and copy it by hand').waitFor();
        await ui.click('OK');
        assert.deepEqual(await ui.words(), words);
        assert.equal(await page.locator('body > textarea').count(), 0);

        // by hand, then
        let at = async (item) => page.locator('.escrow-words li').nth(item).boundingBox();
        let [first, last] = [await at(0), await at(9)];
        await page.mouse.move(first.x + 2, first.y + 10);
        await page.mouse.down();
        await page.mouse.move(last.x + last.width - 2, last.y + last.height - 4, { steps: 5 });
        await page.mouse.up();
        let selected = await page.evaluate(() => window.getSelection().toString());
        assert.deepEqual(words.filter((word) => !selected.includes(word)), []);
        assert.deepEqual(seen.errors, []);
    });
}

flow('a page that is not a kit runs nothing', async ({ page, ui }) => {
    await ui.openStorage('backup1');
    await ui.create();
    await ui.catchPrints();
    await page.route('**/escrow/kit*', (r) =>
        r.fulfill({ json: { success: 1, data: { name: 'x', kit: '<img src="x:" onerror="parent.hit = 1"><script>parent.hit = 1</script><p>x' } } }),
    );
    await ui.choose('Kit', 'Print');
    await page.locator('iframe').waitFor({ state: 'attached' });
    await page.waitForTimeout(500);
    assert.equal(await page.evaluate(() => window.hit), undefined);
});
