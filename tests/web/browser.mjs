// A browser on a page with a tree of its own behind it, for one test file.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const OUT = path.join(HERE, '../out');

export const LIVE =
    '03:6b:8f:61:0c:da:d8:85:d9:d7:b5:4d:d3:98:21:70:f9:37:48:d3:6d:27:f3:a8:f6:e3:a6:4d:06:ee:03:7b';
export const OTHER =
    '7d:34:d4:ed:c3:20:5d:a3:e5:2e:d1:36:0a:43:8b:41:15:24:d3:38:bc:ee:a0:4c:b4:48:6d:1e:06:42:eb:29';
export const KEY_FILE = '/etc/pve/priv/storage/backup1.enc';
export const RECORD = `/etc/pve/priv/escrow/${LIVE.replaceAll(':', '')}.json`;

const FLAGS = [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
];

export async function startServer() {
    let server = spawn(path.join(HERE, 'serve'), ['0', path.join(HERE, 'demo.json')], {
        stdio: ['ignore', 'pipe', process.env.SHOW ? 'inherit' : 'ignore'],
    });
    let [line] = await once(server.stdout, 'data');
    let url = `${line}`.match(/http:\S+/)?.[0];
    if (!url) {
        throw new Error(`the server says: ${line}`);
    }
    // calls of functions of the test tree: [name, arguments ...]
    let run = async function (...calls) {
        let response = await fetch(`${url}test`, { method: 'POST', body: JSON.stringify(calls) });
        if (!response.ok) {
            throw new Error(await response.text());
        }
        return response.json();
    };
    return { url, run, stop: () => server.kill() };
}

export async function startBrowser() {
    return chromium.launch({
        executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
        args: FLAGS,
    });
}

// What every test file does: test(name, async ({ page, server, ... }) => ...). A screenshot is kept of what failed.
export function flows({ before, after, test }) {
    let state = {};
    before(async function () {
        state.server = await startServer();
        state.browser = await startBrowser();
    });
    after(async function () {
        await state.browser?.close();
        state.server?.stop();
    });
    return function (name, code, { user = 'root@pam', setUp = [], route } = {}) {
        test(name, async function () {
            let demo = JSON.parse(readFileSync(path.join(HERE, 'demo.json')));
            await state.server.run(...demo, ...setUp);
            let context = await state.browser.newContext({ viewport: { width: 1280, height: 720 } });
            let page = await context.newPage();
            page.setDefaultTimeout(15000);
            let seen = { errors: [], urls: [] };
            page.on('pageerror', (err) => seen.errors.push(err.message));
            page.on('request', (request) => seen.urls.push(request.url()));
            if (route) {
                await route(page);
            }
            try {
                await page.goto(`${state.server.url}?user=${encodeURIComponent(user)}`);
                await code({ page, ui: new Ui(page), server: state.server, seen });
            } catch (err) {
                mkdirSync(OUT, { recursive: true });
                await page.screenshot({ path: path.join(OUT, `${name.replace(/\W+/g, '-')}.png`) });
                throw err;
            } finally {
                await page.unrouteAll({ behavior: 'ignoreErrors' });
                await context.close();
            }
        });
    };
}

export class Ui {
    constructor(page) {
        this.page = page;
    }

    async openStorage(name) {
        await this.page.locator('.x-tree-node-text', { hasText: new RegExp(`^${name}$`) }).click();
        await this.tab('Key Escrow');
        await this.page.locator('.escrow-verdict').waitFor();
    }

    async openDatacenter() {
        await this.page.locator('.x-tree-node-text', { hasText: /^Datacenter$/ }).click();
        await this.tab('Key Escrow');
    }

    async tab(name) {
        await this.page.locator('.x-treelist-item-text', { hasText: new RegExp(`^${name}$`) }).click();
    }

    // an icon of a font counts as a letter of the name
    button(name) {
        let whole = new RegExp(`^\\W*${name}\\W*$`);
        return this.page.getByRole('button', { name: whole }).filter({ visible: true }).last();
    }

    async click(name) {
        await this.button(name).click();
    }

    // of a button's menu
    async choose(name, item) {
        await this.click(name);
        await this.page.getByRole('menuitem', { name: new RegExp(`^\\W*${item}\\W*$`) }).filter({ visible: true }).click();
    }

    window() {
        return this.page.locator('.x-window').filter({ visible: true }).last();
    }

    async words() {
        let items = this.page.locator('.escrow-words li');
        await items.first().waitFor();
        return (await items.allTextContents()).map((text) => text.replace(/^\d+\./, '').trim());
    }

    // types the words one by one, as from paper
    async type(words) {
        await this.page.getByRole('combobox', { name: 'Word 1 of 10', exact: true }).click();
        for (const word of words) {
            await this.page.keyboard.type(word);
            await this.page.keyboard.press('Space');
        }
    }

    // through the three steps; returns the words and the check characters
    async create({ label, button = 'Create' } = {}) {
        await this.click(button);
        if (label) {
            await this.page.getByRole('combobox', { name: 'Label' }).fill(label);
        }
        await this.click('Show the Words');
        let words = await this.words();
        let check = await this.page.locator('b.escrow-mono').textContent();
        await this.page.getByText('I have all ten words on paper').click();
        await this.click('Next');
        await this.type(words);
        await this.page.getByText('The words open the stored key').waitFor();
        await this.click('Finish');
        return { words, check };
    }

    // what is printed from now on is kept, and comes on no paper
    async catchPrints() {
        await this.page.evaluate(() => {
            window.printed = [];
            let append = document.body.appendChild.bind(document.body);
            document.body.appendChild = function (element) {
                append(element);
                if (element.tagName === 'IFRAME') {
                    element.contentWindow.print = () => window.printed.push(element.contentDocument.documentElement.outerHTML);
                }
                return element;
            };
        });
    }

    async printed() {
        await this.page.waitForFunction(() => window.printed.length > 0);
        return this.page.evaluate(() => window.printed.shift());
    }

    async verdict() {
        return this.page.locator('.escrow-verdict').innerText();
    }
}
