// The pictures of the README, from the demonstration: node tests/web/pictures.mjs
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { startBrowser, startServer, Ui } from './browser.mjs';

const OUT = path.join(path.dirname(fileURLToPath(import.meta.url)), '../../docs/img');

let server = await startServer();
let browser = await startBrowser();
try {
    mkdirSync(OUT, { recursive: true });
    let page = await browser.newPage({ viewport: { width: 1280, height: 680 } });
    let ui = new Ui(page);
    let shot = (name) => page.screenshot({ path: path.join(OUT, `${name}.png`) });
    let closeTask = async function () {
        await page.getByText(/TASK (OK|ERROR)/).first().waitFor();
        await page.keyboard.press('Escape');
        await ui.window().waitFor({ state: 'hidden' });
    };
    await page.goto(server.url);
    await ui.openStorage('backup1');
    let { words } = await ui.create({ label: 'Safe, ground floor' });
    await page.getByRole('button', { name: 'Ask the backup server now' }).click();
    await closeTask();
    await ui.click('Drill');
    await ui.type(words);
    await ui.click('Start Drill');
    await closeTask();
    await page.locator('.escrow-bars').waitFor();
    await page.mouse.move(0, 0);
    await page.waitForTimeout(500);
    await shot('panel');
    await ui.click('Renew');
    await ui.click('Show the Words');
    await ui.words();
    await page.waitForTimeout(500);
    await shot('words');
} finally {
    await browser.close();
    server.stop();
}
