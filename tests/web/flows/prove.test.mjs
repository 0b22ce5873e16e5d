// Proofs and drills, on the data of the real client and server.
import { strict as assert } from 'node:assert';
import { after, before, test } from 'node:test';
import { flows } from '../browser.mjs';

const flow = flows({ before, after, test });

const line = (page, name) => page.locator('.escrow-table tr', { hasText: name });

async function closeTask(page, ui) {
    await page.getByText('Task viewer').waitFor();
    let text = page.locator('.x-window').getByText(/TASK (OK|ERROR)/);
    await text.waitFor();
    let log = await text.innerText();
    await page.keyboard.press('Escape');
    await ui.window().waitFor({ state: 'hidden' });
    return log;
}

flow('a proof of one snapshot, and its result in the panel', async ({ page, ui }) => {
    await ui.openStorage('backup1');
    assert.match(await line(page, 'Last proof').innerText(), /never/);
    await ui.click('Prove Now');
    await ui.window().locator('.x-grid-row', { hasText: 'ct/100/2024-06-06T16:00:00Z' }).click();
    await page.getByText('All of it').click();
    await ui.click('Prove');
    let log = await closeTask(page, ui);
    assert.match(log, /ct\/100\/2024-06-06T16:00:00Z: valid/);
    assert.doesNotMatch(log, /ct\/100\/2024-06-05/);
    await line(page, 'Last proof').getByText(/valid, just now/).waitFor();
    assert.match(await line(page, 'Last proof').innerText(), /1 snapshot, .*KiB/);
    await line(page, 'Last proof').getByText('Task').click();
    assert.match(await closeTask(page, ui), /TASK OK/);
});

flow('damaged backups are found, and the panel says so', async ({ page, ui, server }) => {
    await server.run(['spew', '/run/client/restore', 'damaged']);
    await ui.openStorage('backup1');
    await ui.click('Prove Now');
    await ui.click('Prove');
    assert.match(await closeTask(page, ui), /TASK ERROR/);
    await line(page, 'Last proof').getByText(/invalid, just now/).waitFor();
    assert.equal(await line(page, 'Last proof').locator('.critical').count(), 1);
});

flow('a drill with the words; they are in the body of the request alone', async ({ page, ui, seen }) => {
    await ui.openStorage('backup1');
    let { words } = await ui.create();
    await ui.click('Drill');
    await ui.type(words);
    let [request] = await Promise.all([
        page.waitForRequest((r) => r.method() === 'POST' && r.url().includes('/escrow/prove')),
        ui.click('Start Drill'),
    ]);
    assert.equal(new URLSearchParams(request.postData()).get('code'), words.join(' '));
    let log = await closeTask(page, ui);
    assert.match(log, /drill of key .*: valid/);
    assert.ok(!log.includes(`${words[0]} ${words[1]}`));
    await line(page, 'Last drill').getByText(/valid, just now/).waitFor();
    assert.ok(!seen.urls.some((url) => url.includes(words.join('%20')) || url.includes(words.join('+'))));
});

flow('a drill with a wrong code proves nothing', async ({ page, ui }) => {
    await ui.openStorage('backup1');
    let { words } = await ui.create();
    await ui.click('Drill');
    await ui.type([...words.slice(1), words[0]]);
    await ui.click('Start Drill');
    await page.getByText('wrong recovery code').waitFor();
    await ui.click('OK');
    await ui.button('Start Drill').waitFor();
});

flow('the server is asked which snapshots need which key', async ({ page, ui }) => {
    await ui.openStorage('backup1');
    await page.getByText('nobody has asked it').waitFor();
    await page.getByRole('button', { name: 'Ask the backup server now' }).click();
    await closeTask(page, ui);
    let bars = page.locator('.escrow-bars');
    await bars.waitFor();
    assert.match(await bars.innerText(), /03:6b:8f:61:0c:da:d8:85\s+6 not sealed/);
    assert.match(await bars.innerText(), /7d:34:d4:ed:c3:20:5d:a3\s+1 missing/);
    assert.match(await bars.innerText(), /Plaintext\s+1 not encrypted/);
});
