// What others have written is text wherever it is shown, and all of it fits on a small screen.
import { strict as assert } from 'node:assert';
import { after, before, test } from 'node:test';
import { flows, LIVE } from '../browser.mjs';

const flow = flows({ before, after, test });

const EVIL = '<img src=x onerror="window.hit=1"><b>x</b>';

// each string that the server says is one of somebody's
const poisoned = (value) =>
    typeof value === 'string'
        ? EVIL
        : Array.isArray(value)
          ? value.map(poisoned)
          : value && typeof value === 'object'
            ? Object.fromEntries(Object.entries(value).map(([k, v]) => [k, ['live', 'level', 'state', 'upid'].includes(k) ? v : poisoned(v)]))
            : value;

async function isText(page) {
    await page.waitForTimeout(300);
    assert.equal(await page.evaluate(() => window.hit), undefined);
    assert.equal(await page.locator('img[src=x]').count(), 0);
}

// the tips that appear over anything are HTML too
async function hoverAll(page) {
    for (const element of await page.locator('[data-qtip]:visible').all()) {
        await element.hover({ force: true, timeout: 1000 }).catch(() => null);
        await page.waitForTimeout(50);
    }
}

flow(
    'HTML in whatever the server says stays text',
    async ({ page, ui }) => {
        await ui.openStorage('backup1');
        await page.getByText(EVIL).first().waitFor();
        await hoverAll(page);
        await isText(page);
        await ui.click('Records');
        await isText(page);
        await page.keyboard.press('Escape');
        await ui.click('Prove Now');
        await isText(page);
        await page.keyboard.press('Escape');
        await ui.openDatacenter();
        for (const name of ['Storages', 'Keys', 'Nodes', 'Evidence', 'Settings']) {
            await page.getByRole('tab', { name }).click();
            await isText(page);
            await hoverAll(page);
            await isText(page);
        }
        await ui.click('Reload');
    },
    {
        route: (page) =>
            page.route(/\/(escrow|content)(\/|\?|$)/, async (r) => {
                let response = await r.fetch();
                let json = await response.json();
                await r.fulfill({ json: { ...json, data: poisoned(json.data) } });
            }),
    },
);

flow(
    'HTML in errors stays text',
    async ({ page, ui }) => {
        await page.locator('.x-tree-node-text', { hasText: /^backup1$/ }).click();
        await ui.tab('Key Escrow');
        await page.getByText(EVIL).first().waitFor();
        await isText(page);
        await ui.openDatacenter();
        await page.getByText(EVIL).first().waitFor();
        await isText(page);
    },
    {
        route: (page) =>
            page.route(/\/escrow(\/|\?|$)/, (r) => r.fulfill({ json: { success: 0, status: 500, message: EVIL, errors: { [EVIL]: EVIL }, data: null } })),
    },
);

flow('HTML in a label goes to the server and back as text', async ({ page, ui, server }) => {
    await ui.openStorage('backup1');
    await ui.create({ label: EVIL });
    await page.locator('.x-grid-cell', { hasText: EVIL }).waitFor();
    await isText(page);
    let [{ seals }] = await server.run(['call', 'root@pam', 'GET', 'backup1/escrow/status', {}]);
    assert.equal(seals[0].label, EVIL);
    await ui.click('Verify Code');
    await page.keyboard.press('Escape');
    await ui.click('Renew');
    await isText(page);
});

// inside of a page that has its own bars around it
async function fits(page, selector) {
    let overflowing = await page.evaluate((what) => {
        let wrong = [];
        for (const element of document.querySelectorAll(what)) {
            if (element.offsetParent === null) {
                continue;
            }
            let box = element.getBoundingClientRect();
            if (box.bottom > window.innerHeight + 1 || box.right > window.innerWidth + 1 || box.top < 0) {
                wrong.push(`${element.id} is outside`);
            }
            for (const inner of element.querySelectorAll('.x-panel-body, .x-window-body')) {
                if (inner.offsetParent !== null && inner.scrollHeight > inner.clientHeight + 1) {
                    wrong.push(`${inner.id} scrolls: ${inner.scrollHeight} > ${inner.clientHeight}`);
                }
            }
        }
        return wrong;
    }, selector);
    assert.deepEqual(overflowing, []);
}

flow('all fits 1280 x 720 without scrolling', async ({ page, ui }) => {
    await ui.openStorage('backup1');
    await page.getByText(LIVE.slice(0, 23)).first().waitFor();
    await fits(page, '.x-viewport');
    await ui.click('Create');
    await page.getByText('You need:').waitFor();
    await fits(page, '.x-window');
    await ui.click('Show the Words');
    let words = await ui.words();
    await fits(page, '.x-window');
    await page.getByText('I have all ten words on paper').click();
    await ui.click('Next');
    await fits(page, '.x-window');
    await ui.type(words);
    await page.getByText('The words open the stored key').waitFor();
    await fits(page, '.x-window');
    await ui.click('Finish');
    for (const name of ['Verify Code', 'Recover', 'Prove Now', 'Drill', 'Records']) {
        await ui.click(name);
        await ui.window().waitFor();
        await page.waitForTimeout(300);
        await fits(page, '.x-window');
        await page.keyboard.press('Escape');
        await ui.window().waitFor({ state: 'hidden' });
    }
});

flow('by keyboard alone: from the tab to a confirmed seal', async ({ page, ui, server }) => {
    await ui.openStorage('backup1');
    let press = async (key, times = 1) => {
        for (let i = 0; i < times; i++) {
            await page.keyboard.press(key);
        }
    };
    let focused = () => page.evaluate(() => document.activeElement.closest('[role=button]')?.innerText ?? document.activeElement.getAttribute('aria-label') ?? '');
    let until = async function (name) {
        for (let i = 0; i < 40 && !(await focused()).includes(name); i++) {
            await press('Tab');
        }
        assert.match(await focused(), new RegExp(name));
    };
    await ui.button('Create').focus();
    await press('Enter');
    await ui.window().waitFor();
    await page.keyboard.type('Safe');
    await until('Show the Words');
    await press('Enter');
    let words = await ui.words();
    await page.waitForFunction(() => document.activeElement.type === 'button' || document.activeElement.type === 'checkbox' || document.activeElement.getAttribute('role') === 'checkbox');
    await press('Space');
    await until('Next');
    await press('Enter');
    for (const word of words) {
        await page.keyboard.type(`${word} `);
    }
    await page.getByText('The words open the stored key').waitFor();
    await press('Enter');
    await ui.window().waitFor({ state: 'hidden' });
    let [{ state }] = await server.run(['call', 'root@pam', 'GET', 'backup1/escrow/status', {}]);
    assert.equal(state, 'sealed');
});

flow('what stands for itself has a name for screen readers', async ({ page, ui }) => {
    await ui.openStorage('backup1');
    await ui.create();
    for (const name of ['Verify Code', 'Recover', 'Drill']) {
        await ui.click(name);
        await ui.window().waitFor();
        let nameless = await page.evaluate(() =>
            [...document.querySelectorAll('.x-window input, .x-window [role=button], .x-window button')]
                .filter((element) => element.offsetParent !== null)
                .filter((element) => !element.innerText?.trim() && !element.getAttribute('aria-label') && !element.getAttribute('aria-labelledby') && !element.labels?.length && !element.title)
                .map((element) => element.outerHTML.slice(0, 200)),
        );
        assert.deepEqual(nameless, [], name);
        await page.keyboard.press('Escape');
        await ui.window().waitFor({ state: 'hidden' });
    }
});
