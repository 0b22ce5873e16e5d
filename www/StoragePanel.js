// Storage -> Key Escrow: do the backups of this storage survive the loss of this node, and what to do if not.
Ext.define('PVE.escrow.StoragePanel', {
    extend: 'Ext.panel.Panel',
    xtype: 'pveEscrowStorage',

    layout: { type: 'vbox', align: 'stretch' },
    scrollable: 'y',
    bodyPadding: 8,

    MAX_REASONS: 2,

    initComponent: function () {
        let me = this;
        let node = me.pveSelNode?.data ?? {};
        me.node ??= node.node;
        me.storage ??= node.storage;
        me.tbar = { overflowHandler: 'scroller', items: me.createButtons() };
        me.items = [
            {
                xtype: 'component',
                itemId: 'verdict',
                autoEl: { tag: 'div', role: 'status', 'aria-live': 'polite' },
                padding: '0 4 8 4',
                minHeight: 40,
            },
            {
                xtype: 'container',
                itemId: 'middle',
                hidden: true,
                layout: { type: 'hbox', align: 'stretch' },
                items: [
                    {
                        xtype: 'panel',
                        title: gettext('Key'),
                        flex: 1,
                        bodyPadding: '4 8',
                        items: { xtype: 'component', itemId: 'facts' },
                    },
                    {
                        xtype: 'panel',
                        title: gettext('Snapshots by Key'),
                        flex: 1,
                        bodyPadding: '4 8',
                        margin: '0 0 0 8',
                        tools: [
                            {
                                type: 'refresh',
                                itemId: 'ask',
                                hidden: true,
                                tooltip: gettext('Ask the backup server now'),
                                ariaLabel: gettext('Ask the backup server now'),
                                handler: () => me.task('coverage', {}),
                            },
                        ],
                        items: { xtype: 'pveEscrowCoverage', itemId: 'coverage' },
                    },
                ],
            },
            {
                xtype: 'container',
                itemId: 'lists',
                hidden: true,
                flex: 1,
                minHeight: 118,
                margin: '8 0 0 0',
                layout: { type: 'hbox', align: 'stretch' },
                items: [me.createSeals(), me.createCopies()],
            },
        ];
        me.callParent();
        me.on('afterrender', () => me.onClicks());
        me.on('activate', () => me.load());
        me.on('afterrender', () => me.load(), me, { single: true });
        PVE.escrow.Utils.withRights(function (rights) {
            me.rights = rights;
            me.showButtons();
        });
    },

    createButtons: function () {
        let me = this;
        let url = (path) => PVE.escrow.Utils.storageUrl(me.node, me.storage, path);
        let button = (itemId, text, icon, handler, more) => ({
            itemId: itemId,
            text: text,
            iconCls: `fa fa-${icon}`,
            hidden: true,
            handler: handler,
            ...more,
        });
        return [
            button('create', gettext('Create'), 'pencil-square-o', () => me.openCreate()),
            button('verify', gettext('Verify Code'), 'check-square-o', () => me.open('Verify', { onVerified: () => me.load() })),
            button('recover', gettext('Recover'), 'life-ring', () =>
                me.open('Recover', { onRecovered: () => me.load() }),
            ),
            button('prove', gettext('Prove Now'), 'play-circle-o', () => me.open('Prove', { onDone: () => me.load() })),
            button('drill', gettext('Drill'), 'bullhorn', () =>
                me.open('Prove', { isDrill: true, onDone: () => me.load() }),
            ),
            button('kit', gettext('Kit'), 'suitcase', null, {
                menu: [
                    {
                        text: gettext('Download'),
                        iconCls: 'fa fa-download',
                        handler: () => PVE.escrow.Utils.downloadKit(url('kit')),
                    },
                    {
                        text: gettext('Print'),
                        iconCls: 'fa fa-print',
                        handler: () => PVE.escrow.Sheet.printKit(me, url('kit')),
                    },
                ],
            }),
            button('masterkey', gettext('Master Key'), 'key', () =>
                me.open('MasterKey', { onChanged: () => me.load() }),
            ),
            button('records', gettext('Records'), 'list', () =>
                me.open('Records', { isOperator: me.rights.operator, onDropped: () => me.load() }),
            ),
            '->',
            { text: gettext('Reload'), itemId: 'reload', iconCls: 'fa fa-refresh', handler: () => me.load() },
        ];
    },

    createSeals: function () {
        let utils = PVE.escrow.Utils;
        return {
            xtype: 'grid',
            itemId: 'seals',
            title: gettext('Seals'),
            flex: 3,
            store: {
                fields: ['label', 'state', 'by', 'created', 'last-verified'],
                sorters: { property: 'created', direction: 'DESC' },
                data: [],
            },
            viewConfig: {
                deferEmptyText: false,
                emptyText: gettext('No recovery code opens this key. Create makes one.'),
            },
            columns: [
                {
                    text: gettext('Label'),
                    dataIndex: 'label',
                    flex: 2,
                    renderer: utils.label,
                },
                { text: gettext('State'), dataIndex: 'state', flex: 1, renderer: utils.sealState },
                { text: gettext('Since'), dataIndex: 'created', width: 90, renderer: utils.day },
                { text: gettext('Verified'), dataIndex: 'last-verified', width: 90, renderer: utils.day },
            ],
        };
    },

    createCopies: function () {
        let utils = PVE.escrow.Utils;
        return {
            xtype: 'grid',
            itemId: 'copies',
            title: gettext('Copies of the Kit'),
            flex: 2,
            margin: '0 0 0 8',
            store: { fields: ['storage', 'result', 'text', 'time', 'outside'], data: [] },
            viewConfig: {
                deferEmptyText: false,
                emptyText: gettext('No storage holds a copy. Datacenter > Key Escrow > Settings names them.'),
            },
            columns: [
                { text: gettext('Storage'), dataIndex: 'storage', flex: 1, renderer: utils.text },
                {
                    text: gettext('State'),
                    dataIndex: 'result',
                    flex: 1,
                    renderer: function (result, meta, { data }) {
                        meta.tdAttr = `data-qtip="${utils.tip(data.text)}"`;
                        let where = Number(data.outside) ? '' : ` (${gettext('inside')})`;
                        return utils.result(result) + where;
                    },
                },
                { text: gettext('Tried'), dataIndex: 'time', width: 90, renderer: utils.day },
            ],
        };
    },

    onClicks: function () {
        let me = this;
        me.el.on('click', function (event, target) {
            let element = target.closest('[data-copy],[data-task]');
            if (element?.dataset.copy) {
                PVE.escrow.Utils.copyText(element.dataset.copy);
            } else if (element?.dataset.task) {
                PVE.escrow.Utils.showTask(element.dataset.task, Ext.emptyFn);
            }
        });
    },

    open: function (name, config) {
        let me = this;
        return Ext.create(`PVE.escrow.${name}Window`, {
            autoShow: true,
            node: me.node,
            storage: me.storage,
            ...config,
        });
    },

    openCreate: function () {
        let me = this;
        let url = (path) => PVE.escrow.Utils.storageUrl(me.node, me.storage, path);
        let seals = me.status?.seals ?? [];
        me.open('Create', {
            isRenewal: seals.some(({ state }) => state === 'active'),
            key: {
                storage: me.storage,
                fingerprint: me.status?.live,
                labels: Ext.Array.unique(seals.map(({ label }) => label).filter(Boolean)),
                pending: seals.find(({ state }) => state === 'pending'),
            },
            urls: { create: url('create'), confirm: url('confirm'), kit: url('kit') },
            onSealed: () => me.load(),
            listeners: { destroy: () => me.destroyed || me.load() },
        });
    },

    task: function (path, params) {
        let me = this;
        PVE.escrow.Utils.request({
            url: PVE.escrow.Utils.storageUrl(me.node, me.storage, path),
            method: 'POST',
            params: params,
            waitMsgTarget: me,
            success: (response) => PVE.escrow.Utils.showTask(response.result.data, () => me.load()),
        });
    },

    load: function () {
        let me = this;
        PVE.escrow.Utils.get(
            PVE.escrow.Utils.storageUrl(me.node, me.storage, 'status'),
            (status) => me.destroyed || me.showStatus(status),
            (response) => me.destroyed || me.showFailure(response),
        );
    },

    showFailure: function (response) {
        let me = this;
        let utils = PVE.escrow.Utils;
        me.status = null;
        me.showButtons();
        me.down('#middle').hide();
        me.down('#lists').hide();
        let text = utils.isAbsent(response)
            ? utils.format(gettext("Node '{0}' knows nothing of key escrow: install pve-escrow there too."), me.node)
            : response.htmlStatus;
        me.down('#verdict').setHtml(me.verdict('warning', text, []));
    },

    verdict: function (level, text, lines, next) {
        let utils = PVE.escrow.Utils;
        let list = lines.length ? `<ul>${lines.map((line) => `<li>${line}</li>`).join('')}</ul>` : '';
        return `<div class="escrow-verdict">${utils.levelIcon(level)}<div><h2>${text}</h2>${next ?? ''}${list}</div></div>`;
    },

    command: (command) =>
        command ? ` <span class="escrow-mono escrow-hint">${PVE.escrow.Utils.text(command)}</span>` : '',

    // worst first, as the server has them; the worst may be what the verdict says already
    reasons: function (status) {
        let me = this;
        let utils = PVE.escrow.Utils;
        let reasons = (status.reasons ?? []).filter(({ text }) => text !== status.verdict);
        let lines = reasons
            .slice(0, me.MAX_REASONS)
            .map(({ level, text, next }) => `${utils.levelIcon(level)} ${utils.text(text)}${me.command(next)}`);
        let more = reasons.slice(me.MAX_REASONS);
        if (more.length) {
            let all = more.map((reason) => reason.text).join('\n');
            let text = Ext.String.format(ngettext('and {0} more', 'and {0} more', more.length), more.length);
            lines[lines.length - 1] += ` <u title="${utils.text(all)}">${text}</u>`;
        }
        return lines;
    },

    showStatus: function (status) {
        let me = this;
        let utils = PVE.escrow.Utils;
        me.status = status;
        me.showButtons();
        Ext.suspendLayouts();
        me.down('#middle').show();
        me.down('#lists').show();
        me.down('#verdict').setHtml(
            me.verdict(
                utils.level(status),
                utils.text(status.verdict ?? status.text),
                me.reasons(status),
                me.command(status.next),
            ),
        );
        me.down('#facts').setHtml(me.facts(status));
        me.down('#coverage').setCoverage(status.coverage);
        me.down('#seals').getStore().loadData((status.seals ?? []).map((seal) => ({ ...seal, id: undefined })));
        me.down('#copies').getStore().loadData(status.copies ?? []);
        Ext.resumeLayouts(true);
    },

    facts: function (status) {
        let me = this;
        let utils = PVE.escrow.Utils;
        let key = (fingerprint) =>
            fingerprint ? utils.fingerprint(fingerprint) + utils.copyButton(fingerprint) : gettext('none');
        let rows = [
            [gettext('State'), utils.state(status.state)],
            [gettext('Fingerprint'), key(status.live)],
        ];
        if (status.configured !== status.live) {
            rows.push(['storage.cfg', key(status.configured)]);
        }
        rows.push(
            [gettext('Last drill'), me.trial(status.drill)],
            [gettext('Last proof'), me.trial(status.proof)],
        );
        for (const { where, sha256 } of status['master-keys'] ?? []) {
            rows.push([
                gettext('Master key'),
                `<span data-qtip="SHA-256 ${utils.tip(sha256)}">${utils.text(where)}</span>`,
            ]);
        }
        let event = status.events?.[0];
        if (event) {
            let text = `${event.text}`.replace(/\b([0-9a-f]{8})[0-9a-f]{56}\b/g, '$1…');
            rows.push([
                gettext('Last event'),
                `<div class="escrow-line" data-qtip="${utils.tip(event.text)}">${utils.age(event.time)}: ${utils.text(text)}</div>`,
            ]);
        }
        let line = ([name, value]) => `<tr><th scope="row">${name}</th><td>${value}</td></tr>`;
        return `<table class="escrow-table"><tbody>${rows.map(line).join('')}</tbody></table>`;
    },

    trial: function (trial) {
        let utils = PVE.escrow.Utils;
        if (!trial?.time) {
            return gettext('never');
        }
        let what = Ext.String.format(
            ngettext('{0} snapshot, {1}', '{0} snapshots, {1}', trial.snapshots),
            utils.text(trial.snapshots),
            Proxmox.Utils.format_size(trial.bytes ?? 0),
        );
        let task = trial.upid
            ? ` <button type="button" class="escrow-plain" data-task="${utils.text(trial.upid)}"><u>${gettext('Task')}</u></button>`
            : '';
        return (
            `<span data-qtip="${utils.tip(trial.text)}">${utils.result(trial.result)}, ${utils.age(trial.time)}</span>` +
            `<br>${what}${task}`
        );
    },

    showButtons: function () {
        let me = this;
        let { operator, allocate } = me.rights ?? {};
        let state = me.status?.state;
        let hasKey = !!me.status?.live;
        let isSealed = (me.status?.seals ?? []).some((seal) => ['active', 'superseded'].includes(seal.state));
        let buttons = {
            create: operator && hasKey,
            verify: operator && isSealed,
            recover: operator && state,
            prove: allocate && hasKey,
            drill: operator && isSealed,
            kit: operator && state === 'sealed',
            masterkey: operator && hasKey,
            records: state,
            ask: allocate && state && state !== 'unencrypted',
        };
        for (const [name, visible] of Object.entries(buttons)) {
            me.down(`#${name}`)?.setHidden(!visible);
        }
        let isRenewal = (me.status?.seals ?? []).some((seal) => seal.state === 'active');
        me.down('#create').setText(isRenewal ? gettext('Renew') : gettext('Create'));
    },
});

// The same in a window, for where there is no place for a tab.
Ext.define('PVE.escrow.StorageWindow', {
    extend: 'Ext.window.Window',

    modal: true,
    width: 960,
    height: 580,
    layout: 'fit',

    initComponent: function () {
        let me = this;
        me.title = `${gettext('Key Escrow')}: ${PVE.escrow.Utils.text(me.storage)}`;
        me.items = [{ xtype: 'pveEscrowStorage', border: false, node: me.node, storage: me.storage }];
        me.callParent();
    },
});
