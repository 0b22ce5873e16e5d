// A cluster that has nothing, a login on the backup server, and ten words.
import { strict as assert } from 'node:assert';
import { after, before, test } from 'node:test';
import { flows, LIVE } from '../browser.mjs';

const flow = flows({ before, after, test });
const SECRET = 'the-secret-of-the-server';
const PUBLISHING = ['spew', '/etc/pve/escrow.cfg', 'publish: backup1\n'];

// seals and publishes, and then there is a fire: what the backup server has is all that is left
async function loseAll({ page, ui, server }) {
    await ui.openStorage('backup1');
    let { words } = await ui.create();
    let [[kits]] = await server.run(['names', '/run/client/published/*/host/*/*Z/kits.conf']);
    let owner = kits.replace('kits.conf', 'owner');
    let [text, user] = await server.run(['slurp', kits], ['slurp', owner]);
    await server.run(
        ['fresh'],
        ['storage_cfg', {}],
        ['spew', kits, text],
        ['spew', owner, user],
        ['spew', '/run/client/log', ''],
        ['spew', '/run/tmp/.keep', ''],
    );
    await page.reload();
    await ui.openDatacenter();
    await ui.click('Recover from a Backup Server');
    return words;
}

async function login({ page, ui, secret = SECRET }) {
    await page.getByRole('textbox', { name: 'Server:' }).fill('192.0.2.10');
    await page.getByRole('textbox', { name: 'Datastore:' }).fill('tank');
    await page.getByRole('textbox', { name: 'User or Token:' }).fill('lab@pbs!golden');
    await page.getByRole('textbox', { name: 'Secret:' }).fill(secret);
    await ui.click('Look for Kits');
}

// a moment after a message is closed, the focus comes back to where it was, and may take it from a field in between
async function retype(page, name, value) {
    let field = page.getByRole('textbox', { name });
    for (let i = 0; i < 10 && (await field.inputValue()) !== value; i++) {
        await page.waitForTimeout(200);
        await field.click();
        await page.keyboard.press('Control+A');
        await page.keyboard.type(value);
    }
    assert.equal(await field.inputValue(), value);
}

flow(
    'from a login on the backup server and ten words to the storage and its key',
    async ({ page, ui, server, seen }) => {
        let words = await loseAll({ page, ui, server });
        await login({ page, ui });
        let kit = ui.window().locator('.x-grid-row', { hasText: 'backup1' });
        await kit.waitFor();
        assert.match(await kit.innerText(), new RegExp(`${LIVE.substring(0, 23)}.*host/pve-escrow-`, 's'));
        await ui.click('Next');
        assert.ok(await ui.button('Recover').isDisabled());
        await ui.type(words);
        let [request] = await Promise.all([
            page.waitForRequest((r) => r.method() === 'POST' && r.url().endsWith('/escrow/bootstrap')),
            ui.click('Recover'),
        ]);
        assert.equal(new URLSearchParams(request.postData()).get('code'), words.join(' '));
        let log = ui.window().getByText(/TASK (OK|ERROR)/);
        await log.waitFor();
        let text = await log.innerText();
        assert.match(text, /storage 'backup1' was made, and has key 03:6b:8f:61/);
        assert.match(text, /qmrestore backup1:backup\/vm\/200/);
        assert.match(text, /TASK OK/);
        assert.ok(!text.includes(SECRET) && !text.includes(`${words[0]} ${words[1]}`));
        await page.keyboard.press('Escape');
        await page.locator('.x-grid-row', { hasText: 'backup1' }).getByText('Sealed', { exact: true }).waitFor();
        let [section] = await server.run(['slurp', '/etc/pve/storage.cfg']);
        assert.match(section, /pbs: backup1\n.*server 192\.0\.2\.10\n/s);
        assert.ok(!seen.urls.some((url) => url.includes(SECRET) || url.includes(words[0])));
        assert.deepEqual(seen.errors, []);
    },
    { setUp: [PUBLISHING] },
);

flow(
    'a wrong secret is said, and what was typed stays',
    async ({ page, ui, server }) => {
        await loseAll({ page, ui, server });
        await login({ page, ui, secret: 'another' });
        await page.getByText('authentication failed').waitFor();
        await ui.click('OK');
        assert.equal(await page.getByRole('textbox', { name: 'Server:' }).inputValue(), '192.0.2.10');
        await page.getByText('authentication failed').waitFor({ state: 'hidden' });
        await retype(page, 'Secret:', SECRET);
        await ui.click('Look for Kits');
        await ui.window().locator('.x-grid-row', { hasText: 'backup1' }).waitFor();
    },
    { setUp: [PUBLISHING] },
);

flow(
    'words that open nothing stay to be mended, and an address gets its brackets',
    async ({ page, ui, server }) => {
        let words = await loseAll({ page, ui, server });
        await login({ page, ui });
        await ui.window().locator('.x-grid-row', { hasText: 'backup1' }).waitFor();
        await ui.click('Next');
        await ui.type([...words.slice(1), words[0]]);
        await ui.click('Recover');
        await page.getByText(/TASK ERROR: wrong recovery code/).waitFor();
        await page.keyboard.press('Escape');
        let first = page.getByRole('combobox', { name: 'Word 1 of 10', exact: true });
        assert.equal(await first.inputValue(), words[1]);
        await ui.click('Back');
        await ui.click('Back');
        await retype(page, 'Server:', '2001:db8::1');
        let [request] = await Promise.all([
            page.waitForRequest((r) => r.url().endsWith('/bootstrap/kits')),
            ui.click('Look for Kits'),
        ]);
        assert.equal(new URLSearchParams(request.postData()).get('repository'), 'lab@pbs!golden@[2001:db8::1]:tank');
    },
    { setUp: [PUBLISHING] },
);

flow(
    'somebody without rights sees no button',
    async ({ page, ui }) => {
        await ui.openDatacenter();
        await page.locator('.x-grid-row', { hasText: 'Not sealed' }).waitFor();
        assert.equal(await ui.button('Recover from a Backup Server').count(), 0);
    },
    { user: 'auditor@pve' },
);
