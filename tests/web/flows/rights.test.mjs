// Who may do what: the panel hides it, and the server refuses it anyway.
import { strict as assert } from 'node:assert';
import { after, before, test } from 'node:test';
import { flows, KEY_FILE } from '../browser.mjs';

const flow = flows({ before, after, test });

const api = (page, method, path, params = {}) =>
    page.evaluate(
        async ([m, p, body]) => {
            let response = await fetch(`/api2/extjs${p}`, {
                method: m,
                ...(m === 'GET' ? {} : { body: new URLSearchParams(body) }),
            });
            return response.json();
        },
        [method, path, params],
    );

flow(
    'a user without rights sees the state and no buttons, and the server refuses',
    async ({ page, ui, server }) => {
        await ui.openStorage('backup1');
        assert.ok((await ui.verdict()).length > 10);
        await page.locator('td', { hasText: /^Not sealed$/ }).waitFor();
        let names = await page.locator('.x-toolbar [role=button]:visible').allInnerTexts();
        assert.deepEqual(names.map((name) => name.replace(/\W/g, '')).filter(Boolean), ['Records', 'Reload']);
        let base = '/nodes/x/storage/backup1/escrow';
        for (const [method, path, params] of [
            ['POST', `${base}/create`],
            ['POST', `${base}/verify`, { code: 'abacus' }],
            ['POST', `${base}/recover`, { code: 'abacus' }],
            ['GET', `${base}/kit`],
            ['GET', '/cluster/escrow/keys'],
            ['PUT', '/cluster/escrow/config', { operators: 'auditor@pve' }],
            ['DELETE', '/storage/backup1'],
        ]) {
            let { success, status } = await api(page, method, path, params);
            assert.deepEqual([success, status], [0, 403], `${method} ${path}`);
        }
        assert.ok((await server.run(['slurp', KEY_FILE]))[0]);

        await ui.openDatacenter();
        await page.getByRole('tab', { name: 'Nodes' }).waitFor();
        assert.equal(await page.getByRole('tab', { name: 'Keys' }).count(), 0);
        assert.equal(await ui.button('Recover from Kit').count(), 0);
        await page.getByRole('tab', { name: 'Settings' }).click();
        await page.locator('.x-grid-cell', { hasText: 'operator@pve' }).waitFor();
        assert.equal(await ui.button('Edit').count(), 0);
    },
    { user: 'auditor@pve' },
);

flow(
    'an operator of the settings has the buttons',
    async ({ ui }) => {
        await ui.openStorage('backup1');
        await ui.create({ label: 'mine' });
        await ui.button('Kit').waitFor();
    },
    { user: 'operator@pve' },
);

flow(
    'a user who sees no storage finds none',
    async ({ page, ui }) => {
        await ui.openDatacenter();
        await page.getByText('This cluster has no storage of a backup server that you may see').waitFor();
    },
    { user: 'nobody@pve' },
);
