// From a key to a seal: created and confirmed, abandoned, renewed; the words stay where they belong.
import { strict as assert } from 'node:assert';
import { after, before, test } from 'node:test';
import jsQR from 'jsqr';
import { flows, KEY_FILE, LIVE, RECORD } from '../browser.mjs';

const flow = flows({ before, after, test });

const seals = async (server) => JSON.parse((await server.run(['slurp', RECORD]))[0]).seals;

// all that a page can keep something in, and all that it asked for
async function traces(page, seen) {
    let kept = await page.evaluate(() => {
        let fields = [...document.querySelectorAll('input, textarea')].map(({ value }) => value);
        return [
            document.documentElement.outerHTML,
            JSON.stringify({ ...localStorage }),
            JSON.stringify({ ...sessionStorage }),
            document.cookie,
            location.href,
            ...fields,
        ].join('\n');
    });
    return `${kept}\n${seen.urls.join('\n')}`;
}

const contains = (text, word) => new RegExp(`\\b${word}\\b`).test(text);

flow('create to confirmed', async ({ page, ui, server, seen }) => {
    let [key] = await server.run(['slurp', KEY_FILE]);
    await ui.openStorage('backup1');
    let { words, check } = await ui.create({ label: 'Safe' });
    assert.equal(new Set(words).size > 5, true);
    assert.match(check, /^[a-z][0-9][a-z][0-9]$/);

    await page.locator('.x-grid-cell', { hasText: 'Safe' }).waitFor();
    let [seal] = await seals(server);
    assert.equal(seal.label, 'Safe');
    assert.ok(seal.confirmed);
    assert.deepEqual(await server.run(['slurp', KEY_FILE]), [key], 'the live key is as it was');
    await ui.button('Renew').waitFor();

    let everything = await traces(page, seen);
    let found = words.filter((word) => contains(everything, word));
    assert.ok(found.length < 3, `words that are still there: ${found}`);
    assert.ok(!everything.includes(words.join(' ')));
    assert.ok(!everything.includes(check));
    assert.deepEqual(seen.errors, []);
});

flow('the step of the words: printed, and gone with the step', async ({ page, ui, server }) => {
    await server.run(['spew', '/etc/pve/escrow.cfg', 'copies: usb\npublish: backup1, offsite\n']);
    await ui.catchPrints();
    await ui.openStorage('backup1');
    await ui.click('Create');
    await page.getByRole('combobox', { name: 'Label' }).fill('<b>Säfe</b>');
    await ui.click('Show the Words');
    let words = await ui.words();
    assert.equal(words.length, 10);
    assert.equal(await ui.button('Next').isDisabled(), true);

    await ui.click('Print');
    let sheet = await ui.printed();
    for (const text of [...words, LIVE, 'backup1', '&lt;b&gt;Säfe&lt;/b&gt;', 'proxmox-backup-client', 'pveescrow recover backup1']) {
        assert.ok(sheet.includes(text), text);
    }
    // where the kit is, and a line for what only its owner knows
    assert.match(sheet, /The kit is on<\/dt><dd>storage 'usb', in pve-escrow<\/dd>/);
    assert.ok(sheet.includes('the backup server: lab@pbs!golden@192.0.2.10:tank<'), 'what a bare node is told');
    assert.ok(!sheet.includes('198.51.100.7'), 'another server does not have it');
    assert.match(sheet, /<dd class="by-hand"><\/dd>/);
    let { data, width, height } = await page.evaluate(async (html) => {
        let source = new DOMParser().parseFromString(html, 'text/html').querySelector('img').src;
        let image = new Image();
        image.src = source;
        await image.decode();
        let canvas = document.createElement('canvas');
        [canvas.width, canvas.height] = [image.width + 80, image.height + 80];
        let context = canvas.getContext('2d');
        context.fillStyle = 'white';
        context.fillRect(0, 0, canvas.width, canvas.height);
        context.drawImage(image, 40, 40);
        let pixels = context.getImageData(0, 0, canvas.width, canvas.height);
        return { data: [...pixels.data], width: pixels.width, height: pixels.height };
    }, sheet);
    let scanned = jsQR(Uint8ClampedArray.from(data), width, height);
    assert.ok(scanned?.data.startsWith(words.join(' ')), 'the picture has the words');

    await page.getByText('I have all ten words on paper').click();
    await ui.click('Next');
    assert.equal(await page.locator('.escrow-words').count(), 0);
    await ui.click('Back');
    assert.deepEqual(await ui.words(), words);
});

flow('a word is marked as it is typed, completed, and pasted with the others', async ({ page, ui }) => {
    await ui.openStorage('backup1');
    await ui.click('Create');
    await ui.click('Show the Words');
    let words = await ui.words();
    await page.getByText('I have all ten words on paper').click();
    await ui.click('Next');
    let field = (n) => page.getByRole('combobox', { name: `Word ${n} of 10`, exact: true });

    await field(1).click();
    await page.keyboard.type('zzzz ');
    await page.getByLabel('Not in the word list').waitFor();
    await field(1).fill('');
    let n = words.findIndex((word) => word.length > 5) + 1;
    await field(n).pressSequentially(words[n - 1].slice(0, -1));
    await page.locator('.x-boundlist-item', { hasText: new RegExp(`^${words[n - 1]}$`) }).click();
    assert.equal(await field(n).inputValue(), words[n - 1]);
    await page.getByLabel('right', { exact: true }).waitFor();
    await page.waitForFunction((label) => document.activeElement.getAttribute('aria-label') === label, `Word ${n + 1} of 10`);
    assert.equal(await ui.button('Finish').isDisabled(), true);

    // as somebody's notes have it
    let numbered = words.map((word, i) => `${i + 1}. ${word.toUpperCase()}`).join(',\n');
    await page.evaluate((text) => {
        let data = new DataTransfer();
        data.setData('text', text);
        document.activeElement.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }));
    }, numbered);
    await page.getByText('The words open the stored key').waitFor();
    assert.equal(await ui.button('Finish').isDisabled(), false);
});

flow('abandoned midway, the old seal stays as it was', async ({ page, ui, server }) => {
    await ui.openStorage('backup1');
    await ui.create({ label: 'Safe' });
    let [before] = await seals(server);

    await ui.click('Renew');
    await ui.click('Show the Words');
    let words = await ui.words();
    await page.keyboard.press('Escape');
    await page.getByText('Give up this code?').waitFor();
    await ui.click('Continue');
    assert.deepEqual(await ui.words(), words, 'still there');
    await page.keyboard.press('Escape');
    await ui.click('Give up');
    await ui.window().waitFor({ state: 'hidden' });

    let [old, pending] = await seals(server);
    assert.deepEqual(old, before);
    assert.equal(pending.confirmed, undefined);
    await page.locator('.x-grid-cell', { hasText: 'Not confirmed' }).waitFor();

    // the next one gives it up
    await ui.click('Renew');
    await page.getByText('was never typed back').waitFor();
    await ui.click('Show the Words');
    await ui.words();
    let [, given] = await seals(server);
    assert.ok(given.dropped);
});

flow('renewed under the same label, the old seal is superseded', async ({ page, ui, server }) => {
    await ui.openStorage('backup1');
    await ui.create({ label: 'Safe' });
    await ui.create({ label: 'Safe', button: 'Renew' });
    await page.locator('.x-grid-cell', { hasText: 'Superseded' }).waitFor();
    let [first, second] = await seals(server);
    assert.ok(first.superseded);
    assert.ok(second.confirmed && !second.superseded);
});

flow('what the server refuses is said, and nothing counts', async ({ page, ui, server }) => {
    await ui.openStorage('backup1');
    await ui.click('Create');
    await ui.click('Show the Words');
    let words = await ui.words();
    await page.getByText('I have all ten words on paper').click();
    await ui.click('Next');
    await server.run(['remove', RECORD], ['remove', RECORD.replace('/etc/pve/priv/escrow', '/var/lib/pve-escrow/records')]);
    await ui.type(words);
    await page.getByText('there is no seal').waitFor();
    assert.equal(await ui.button('Finish').isDisabled(), true);
    await ui.button('Try Again').waitFor();
});
