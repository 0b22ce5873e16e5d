// Proxmox VE's own page is whole, whatever is wrong with ours.
import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { flows } from '../browser.mjs';

const flow = flows({ before, after, test });

const SCRIPT = '**/pve-escrow/js/pve-escrow.js*';
const source = () => readFileSync(new URL('../../../target/www/pve-escrow.js', import.meta.url), 'utf8');

// all stock tabs are there, and can be gone through
async function isWhole(page, ui) {
    await page.locator('.x-tree-node-text', { hasText: /^backup1$/ }).click();
    for (const name of ['Summary', 'Backups', 'Permissions']) {
        await ui.tab(name);
        await page.locator('.x-treelist-item-selected', { hasText: name }).waitFor();
    }
    await page.locator('.x-tree-node-text', { hasText: /^Datacenter$/ }).click();
    await ui.tab('Storage');
    await page.locator('.x-grid:not(.x-tree-panel) .x-grid-cell', { hasText: /^backup1$/ }).click();
    await ui.button('Remove').waitFor();
}

const hasTab = (page) => page.locator('.x-treelist-item-text', { hasText: 'Key Escrow' }).count();

const replaced = (body) => (page) => page.route(SCRIPT, (route) => route.fulfill({ body, contentType: 'text/javascript' }));

for (const [name, route] of Object.entries({
    'the script is missing': (page) => page.route(SCRIPT, (r) => r.fulfill({ status: 404, body: '' })),
    'the script cannot be loaded': (page) => page.route(SCRIPT, (r) => r.abort()),
    'the script is cut off': replaced(source().slice(0, 100000)),
    'the script ends in the middle of its classes': replaced(`${source().split('Ext.define(').slice(0, 9).join('Ext.define(')}`),
    'the script throws at once': replaced('throw new Error("broken");'),
})) {
    flow(`whole when ${name}`, async ({ page, ui }) => isWhole(page, ui), { route });
}

for (const name of ['storageTab', 'removalText', 'loadStates']) {
    flow(
        `whole when a hook throws: ${name}`,
        async ({ page, ui }) => isWhole(page, ui),
        {
            route: replaced(
                `${source()}; Object.defineProperty(PVE.escrow.Hooks, '${name}', { get() { throw new Error('broken'); } });`,
            ),
        },
    );
}

// another version of the GUI, which lacks a class that is hooked into or built upon
for (const name of ['PVE.storage.Browser', 'PVE.dc.Config', 'PVE.dc.StorageView', 'PVE.Storage.PBSKeyShow', 'Proxmox.Utils']) {
    flow(
        `loads where ${name} is not there`,
        async ({ page, seen }) => {
            await page.waitForFunction(() => window.pveEscrowDone);
            assert.deepEqual(seen.errors, []);
            assert.equal(seen.urls.filter((url) => /\/(PVE|Proxmox)\//.test(url)).length, 0, 'no class is looked for');
        },
        {
            route: async (page) => {
                await page.route('**/frame/start.js', (r) => r.fulfill({ body: 'window.pveEscrowDone = true;', contentType: 'text/javascript' }));
                await replaced(
                    `(function () { let get = Ext.ClassManager.get; Ext.ClassManager.get = (n) => n === '${name}' ? null : get.call(Ext.ClassManager, n); })();` +
                        `${name} = undefined; ${source()}`,
                )(page);
            },
        },
    );
}

flow(
    'a server without our API, or without some of it',
    async ({ page, ui }) => {
        await page.locator('.x-tree-node-text', { hasText: /^backup1$/ }).click();
        await ui.tab('Key Escrow');
        await page.getByText('knows nothing of key escrow').waitFor();
        await ui.openDatacenter();
        for (const name of ['Nodes', 'Evidence', 'Settings']) {
            await page.getByRole('tab', { name }).click();
        }
        await isWhole(page, ui);
    },
    {
        route: (page) =>
            page.route(/\/escrow(\/|\?|$)/, (r) =>
                r.fulfill({
                    status: 200,
                    contentType: 'application/json',
                    body: JSON.stringify({ success: 0, status: 501, message: "Method 'GET /x' not implemented", data: null }),
                }),
            ),
    },
);

flow(
    'an older server, whose status has the first members only',
    async ({ page, ui, seen }) => {
        await ui.openStorage('backup1');
        await page.getByText('Whoever loses this cluster loses the backups').waitFor();
        await page.getByText('is not known yet').waitFor();
        assert.deepEqual(seen.errors, []);
    },
    {
        route: (page) =>
            page.route('**/escrow/status*', async (r) => {
                let response = await r.fetch();
                let json = await response.json();
                for (const name of ['level', 'verdict', 'reasons', 'drill', 'proof', 'copies', 'coverage', 'master-keys', 'events']) {
                    delete json.data[name];
                }
                await r.fulfill({ json });
            }),
    },
);

flow('the tab is where it belongs, and on storages of backup servers only', async ({ page, ui }) => {
    await page.locator('.x-tree-node-text', { hasText: /^backup1$/ }).click();
    let names = await page.locator('.x-treelist-item-text').allInnerTexts();
    assert.deepEqual(names, ['Summary', 'Backups', 'Key Escrow', 'Permissions']);
    await page.locator('.x-tree-node-text', { hasText: /^local$/ }).click();
    await ui.tab('Permissions');
    assert.equal(await hasTab(page), 0);
});
