// Datacenter -> Key Escrow, and the places of Proxmox VE's own where a key is made or lost.
import { strict as assert } from 'node:assert';
import { after, before, test } from 'node:test';
import { flows, KEY_FILE, LIVE, OTHER } from '../browser.mjs';

const flow = flows({ before, after, test });

const row = (page, text) => page.locator('.x-grid:not(.x-tree-panel) .x-grid-row', { hasText: text }).filter({ visible: true }).first();

flow('all storages with their state, filtered, and gone to', async ({ page, ui }) => {
    await ui.openDatacenter();
    await row(page, 'backup1').waitFor();
    assert.match(await row(page, 'offsite').innerText(), /Key is missing/);
    assert.match(await page.locator('[role=status]').first().innerText(), /2 storages with encrypted backups/);
    await page.getByRole('textbox', { name: 'Filter' }).first().fill('offs');
    await row(page, 'backup1').waitFor({ state: 'detached' });
    await page.getByRole('textbox', { name: 'Filter' }).first().fill('');
    await row(page, 'backup1').dblclick();
    await page.getByText("Storage 'backup1' on node").waitFor();
    await page.locator('.escrow-verdict').waitFor();
});

flow('a kept key is sealed, and destroyed by nobody by accident', async ({ page, ui, server }) => {
    await server.run(['put_key', 'gone', 'other.enc'], ['storage_cfg', { gone: { username: 'b@pbs', 'encryption-key': OTHER } }]);
    // the guard keeps it before it is removed with its storage
    let deleted = await page.evaluate(async () => (await fetch('/api2/extjs/storage/gone', { method: 'DELETE' })).json());
    assert.equal(deleted.success, 1);
    await server.run(['timer']);
    await ui.openDatacenter();
    await page.getByRole('tab', { name: 'Keys' }).click();
    let key = row(page, OTHER.slice(0, 23));
    await key.click();
    assert.match(await key.innerText(), /Orphaned/);

    // given up once, and then not
    await ui.click('Seal');
    await ui.click('Show the Words');
    await ui.words();
    await page.keyboard.press('Escape');
    await ui.click('Give up');
    await ui.window().waitFor({ state: 'hidden' });
    await row(page, OTHER.slice(0, 23)).click();
    await ui.click('Seal');
    await page.getByText('was never typed back').waitFor();
    await ui.click('Show the Words');
    let words = await ui.words();
    await page.getByText('I have all ten words on paper').click();
    await ui.click('Next');
    await ui.type(words);
    await page.getByText('The words open the stored key').waitFor();
    await ui.click('Finish');

    let kept = async () => (await server.run(['names', '/etc/pve/priv/escrow/kept/*']))[0];
    let before = (await kept()).length;
    assert.ok(before > 0);
    await row(page, OTHER.slice(0, 23)).click();
    await ui.click('Forget');
    assert.equal(await ui.button('Destroy').isDisabled(), true);
    let name = (await ui.window().locator('.escrow-mono').last().innerText()).trim();
    await ui.window().getByRole('textbox', { name: 'Name' }).fill(name.slice(0, 8));
    await ui.click('Destroy');
    await ui.window().waitFor({ state: 'hidden' });
    assert.ok((await kept()).length < before);
});

flow('settings are changed', async ({ page, ui, server }) => {
    await ui.openDatacenter();
    await page.getByRole('tab', { name: 'Settings' }).click();
    await page.locator('.x-grid-cell', { hasText: 'operator@pve' }).waitFor();
    await ui.click('Edit');
    await ui.window().getByRole('textbox', { name: 'Operators' }).fill('anna@pve, bert@pam');
    await ui.click('OK');
    await page.locator('.x-grid-cell', { hasText: 'anna@pve' }).waitFor();
    assert.match((await server.run(['slurp', '/etc/pve/escrow.cfg']))[0], /operators: .*anna@pve.*bert@pam/);
});

flow('a new key is sealed from the window that shows it', async ({ page, ui, server }) => {
    await page.locator('.x-tree-node-text', { hasText: /^Datacenter$/ }).click();
    await ui.tab('Storage');
    await ui.click('Add');
    await ui.window().getByRole('textbox').fill('fresh');
    await ui.click('OK');
    await page.getByText('Keep your encryption key safe.').waitFor();
    await ui.create({ label: 'new', button: 'Seal with a Recovery Code' });
    let [status] = await server.run(['call', 'root@pam', 'GET', 'fresh/escrow/status', {}]);
    assert.equal(status.state, 'sealed');
});

flow('what is sealed and kept is said before a storage is removed', async ({ page, ui, server }) => {
    await page.locator('.x-tree-node-text', { hasText: /^Datacenter$/ }).click();
    await ui.tab('Storage');
    await row(page, 'plain').click();
    await ui.click('Remove');
    await ui.window().waitFor();
    assert.doesNotMatch(await ui.window().innerText(), /kept/);
    await ui.click('No');
    await row(page, 'backup1').click();
    await ui.click('Remove');
    let text = await ui.window().innerText();
    assert.ok(text.includes(LIVE.slice(0, 23)));
    assert.match(text, /not sealed[^]*kept in \/etc\/pve\/priv\/escrow\/kept[^]*pveescrow forget/);
    await ui.click('Yes');
    await row(page, 'backup1').waitFor({ state: 'detached' });
    let [files, kept] = await server.run(['names', KEY_FILE], ['names', '/etc/pve/priv/escrow/kept/*']);
    assert.ok(kept.length > 0, `${files}`);
});

flow('the list of storages opens the panel of one of a backup server', async ({ page, ui }) => {
    await page.locator('.x-tree-node-text', { hasText: /^Datacenter$/ }).click();
    await ui.tab('Storage');
    await row(page, 'local').click();
    assert.equal(await ui.button('Key Escrow').isDisabled(), true);
    await row(page, 'backup1').click();
    await ui.click('Key Escrow');
    await ui.window().locator('.escrow-verdict').waitFor();
});

flow('records are listed and given up', async ({ page, ui, server }) => {
    await ui.openStorage('backup1');
    await ui.create({ label: 'Safe' });
    await ui.click('Records');
    await ui.window().locator('.x-grid-cell', { hasText: 'Safe' }).click();
    await ui.click('Give Up Record');
    await page.getByText('It is the key of: backup1.').waitFor();
    await ui.click('Yes');
    await page.getByText('No key of this storage was ever sealed').waitFor();
    let [status] = await server.run(['call', 'root@pam', 'GET', 'backup1/escrow/status', {}]);
    assert.equal(status.state, 'unsealed');
});

flow('what happened is listed, checked and reported', async ({ page, ui }) => {
    await ui.openStorage('backup1');
    await ui.create({ label: 'Safe' });
    await ui.openDatacenter();
    await page.getByRole('tab', { name: 'Evidence' }).click();
    await row(page, 'confirmed').waitFor();
    await ui.click('Verify');
    assert.match(await ui.window().innerText(), /Lines: [1-9]/);
    await ui.click('OK');
    let [download] = await Promise.all([page.waitForEvent('download'), ui.click('Report')]);
    assert.match(download.suggestedFilename(), /\.html$/);
});
