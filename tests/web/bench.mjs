// How long the panel takes from data to what is painted, with 1,000 snapshots and 200 storages. The target is for a
// machine that does nothing else.
import { startBrowser, startServer, Ui } from './browser.mjs';

const [SNAPSHOTS, KEYS, STORAGES, ROUNDS, LIMIT] = [1000, 100, 200, 7, 150];

const hex = (n) => n.toString(16).padStart(2, '0');
const fingerprint = (n) => Array.from({ length: 32 }, (_, i) => hex((n * 37 + i * 11) % 256)).join(':');
const STATES = ['sealed', 'kept', 'live', 'missing', 'acknowledged'];

const coverage = {
    time: 1764000000,
    snapshots: SNAPSHOTS,
    plain: 10,
    'without-rsa': 5,
    keys: Array.from({ length: KEYS }, (_, i) => ({
        fingerprint: fingerprint(i),
        snapshots: (SNAPSHOTS - 10) / KEYS,
        state: STATES[i % STATES.length],
        newest: 1764000000,
    })),
};
const storages = Array.from({ length: STORAGES }, (_, i) => ({
    storage: `store${i}`,
    state: ['sealed', 'unsealed', 'missing-key'][i % 3],
    level: ['good', 'critical', 'warning'][i % 3],
    verdict: 'A sentence about the backups of this storage.',
    live: fingerprint(i),
    seals: i % 4,
    drill: { time: 1764000000, result: 'valid' },
    'copies-ok': 2,
    'copies-total': 2,
}));

const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

// from the answer in the hands of `member` to the frame after it was painted
const paint = (page, xtype, member, data) =>
    page.evaluate(
        ([type, name, value]) =>
            new Promise((done) => {
                let component = Ext.ComponentQuery.query(type)[0];
                requestAnimationFrame(() => {
                    let start = performance.now();
                    component[name](value);
                    requestAnimationFrame(() => setTimeout(() => done(performance.now() - start)));
                });
            }),
        [xtype, member, data],
    );

function report(what, times) {
    let took = median(times);
    console.log(
        `${what.padEnd(62)} ${took.toFixed(2).padStart(6)} ms   target: at most ${LIMIT} ms  ${took <= LIMIT ? 'met' : 'MISSED'}`,
    );
}

let server = await startServer();
let browser = await startBrowser();
try {
    let page = await browser.newPage({ viewport: { width: 1280, height: 720 } });
    let ui = new Ui(page);
    await page.route(/\/cluster\/escrow\?/, (route) => route.fulfill({ json: { success: 1, data: storages } }));
    let [tab, list] = [[], []];
    for (let i = 0; i < ROUNDS; i++) {
        await page.goto(server.url);
        await ui.openStorage('backup1');
        let status = await page.evaluate(() => Ext.ComponentQuery.query('pveEscrowStorage')[0].status);
        tab.push(await paint(page, 'pveEscrowStorage', 'showStatus', { ...status, coverage }));
        await ui.openDatacenter();
        await page.locator('.x-grid-row', { hasText: 'store0' }).first().waitFor();
        list.push(await paint(page, 'pveEscrowStorages', 'showRows', storages));
    }
    report(`the tab of a storage with ${SNAPSHOTS} snapshots, ${KEYS} keys`, tab);
    report(`the list of ${STORAGES} storages`, list);
} finally {
    await browser.close();
    server.stop();
}
