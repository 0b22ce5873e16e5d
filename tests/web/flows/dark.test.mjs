// In Proxmox VE's light theme and in its dark one, which is a style sheet that the browser's preference brings in.
import { strict as assert } from 'node:assert';
import { after, before, test } from 'node:test';
import { flows, LIVE } from '../browser.mjs';

const flow = flows({ before, after, test });

// Of all texts in these elements, and of all bars, those with too little contrast, as WCAG has it. The colours of bars are
// Proxmox VE's, which are faint in its light theme: each bar says in words what it means.
async function faint(page, selector) {
    await page.locator(selector).filter({ visible: true }).first().waitFor();
    return page.evaluate((what) => {
        let rgba = (colour) => {
            let [r, g, b, a = 1] = colour.match(/[\d.]+/g).map(Number);
            return [r, g, b, a];
        };
        let over = ([r, g, b, a], [x, y, z]) => [r * a + x * (1 - a), g * a + y * (1 - a), b * a + z * (1 - a)];
        let luminance = (colour) => {
            let [r, g, b] = colour.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        let contrast = (one, other) => {
            let [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
            return (light + 0.05) / (dark + 0.05);
        };
        let ancestors = (element) => (element ? [...ancestors(element.parentElement), element] : []);
        let style = (element) => window.getComputedStyle(element);
        let ground = (element) =>
            ancestors(element).reduce((below, e) => over(rgba(style(e).backgroundColor), below), [255, 255, 255]);
        let shown = (element, colour, below) => {
            let opacity = ancestors(element).reduce((so, e) => so * Number(style(e).opacity), 1);
            let [r, g, b, a] = rgba(colour);
            return over([r, g, b, a * opacity], below);
        };
        let seen = 0;
        let wrong = [];
        let check = (element, text, colour, below, least) => {
            let got = contrast(shown(element, colour, below), below);
            seen++;
            if (got < least) {
                wrong.push(`${got.toFixed(2)} < ${least}: ${text.slice(0, 40)}`);
            }
        };
        for (const root of document.querySelectorAll(what)) {
            if (!root.offsetParent) {
                continue;
            }
            for (const element of [root, ...root.querySelectorAll('*')]) {
                let own = [...element.childNodes].filter((node) => node.nodeType === 3).map((node) => node.data.trim()).join(' ').trim();
                let text = own || (element.type === 'text' && element.value);
                if (text && element.getClientRects().length && style(element).visibility === 'visible') {
                    check(element, text, style(element).color, ground(element), 4.5);
                }
                if (element.classList.contains('escrow-bar') && window.matchMedia('(prefers-color-scheme: dark)').matches) {
                    check(element, 'a bar', style(element).backgroundColor, ground(element.parentElement), 3);
                }
            }
        }
        return { seen, wrong };
    }, selector);
}

const isLegible = async function (page, selector, least = 1) {
    let { seen, wrong } = await faint(page, selector);
    assert.ok(seen >= least, `${selector}: ${seen} texts`);
    assert.deepEqual(wrong, [], selector);
};

for (const scheme of ['light', 'dark']) {
    flow(
        `what is said can be read: ${scheme}`,
        async ({ page, ui }) => {
            await ui.openStorage('backup1');
            let ground = await page.evaluate(() => window.getComputedStyle(document.body).backgroundColor);
            assert.equal(ground === 'rgb(26, 26, 26)', scheme === 'dark', 'the theme is in use');
            await page.getByText(LIVE.slice(0, 23)).first().waitFor();
            await isLegible(page, '.escrow-verdict', 2);
            await isLegible(page, '.escrow-table', 6);

            await ui.click('Create');
            await page.getByText('You need:').waitFor();
            await isLegible(page, '.x-window .escrow-text', 4);
            await ui.click('Show the Words');
            let words = await ui.words();
            await isLegible(page, '.escrow-words', 20);
            await page.getByText('I have all ten words on paper').click();
            await ui.click('Next');
            let field = (n) => page.getByRole('combobox', { name: `Word ${n} of 10`, exact: true });
            await field(1).pressSequentially('zzzz ');
            await field(2).pressSequentially(`${words[1]} `);
            await page.getByLabel('right', { exact: true }).waitFor();
            await isLegible(page, '.x-window .x-field', 12);
            await page.keyboard.press('Escape');
            await ui.click('Give up');
            await ui.window().waitFor({ state: 'hidden' });
            await isLegible(page, '.escrow-verdict', 2);

            await ui.openDatacenter();
            await page.getByText('storages with encrypted backups').waitFor();
            await isLegible(page, '[role=status]', 2);
        },
        { route: (page) => page.emulateMedia({ colorScheme: scheme }) },
    );

    flow(
        `the chart of the snapshots can be read: ${scheme}`,
        async ({ page, ui }) => {
            await ui.openStorage('backup1');
            await page.getByRole('button', { name: 'Ask the backup server now' }).click();
            await page.getByText(/TASK (OK|ERROR)/).first().waitFor();
            await page.keyboard.press('Escape');
            await page.locator('.escrow-bars').waitFor();
            await isLegible(page, '.escrow-bars', scheme === 'dark' ? 9 : 6);
        },
        { route: (page) => page.emulateMedia({ colorScheme: scheme }) },
    );
}
