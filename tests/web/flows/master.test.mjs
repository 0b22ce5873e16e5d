// The public half of a master key: tried by the server before Proxmox VE takes it.
import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { flows } from '../browser.mjs';

const flow = flows({ before, after, test });
const pem = readFileSync(new URL('../../vectors/master/master-public.pem', import.meta.url), 'utf8');

flow('a master key is set, shown and removed', async ({ page, ui }) => {
    await ui.openStorage('backup1');
    await ui.click('Master Key');
    await ui.window().getByText('None: only this cluster').waitFor();
    await ui.window().locator('textarea').fill(pem);
    await ui.click('Set');
    await ui.window().getByText(/4096 bits, SHA-256 [0-9a-f]{64}/).waitFor();
    await ui.click('Remove');
    await page.getByText('Earlier ones keep theirs').waitFor();
    await ui.click('Yes');
    await ui.window().getByText('None: only this cluster').waitFor();
});

flow('what backups would fail with is refused, and says why', async ({ page, ui }) => {
    await ui.openStorage('backup1');
    await ui.click('Master Key');
    await ui.window().locator('textarea').fill(pem.replaceAll('PUBLIC', 'PRIVATE'));
    await ui.click('Set');
    await page.getByText('it is the PRIVATE half').waitFor();
    await ui.click('OK');
    assert.equal(await ui.window().getByText('None: only this cluster').count(), 1);
});
