// All storages of the cluster: which of them survive its loss.
Ext.define('PVE.escrow.StorageList', {
    extend: 'PVE.escrow.ListPanel',
    xtype: 'pveEscrowStorages',

    title: gettext('Storages'),
    emptyText: gettext('This cluster has no storage of a backup server that you may see.'),
    fields: ['storage', 'state', 'level', 'text', 'verdict', 'live', 'seals', 'drill', 'proof'],
    sorters: { property: 'storage', direction: 'ASC' },

    initComponent: function () {
        let me = this;
        let utils = PVE.escrow.Utils;
        let trial = function (value) {
            return value?.time
                ? `<span data-qtip="${utils.tip(value.result)}">${utils.resultIcon(value.result)} ${utils.age(value.time)}</span>`
                : utils.age(null);
        };
        let byTime = (name) => ({
            sorterFn: (a, b) => (a.data[name]?.time ?? 0) - (b.data[name]?.time ?? 0),
        });
        me.tbar = {
            overflowHandler: 'scroller',
            items: [
                {
                    text: gettext('Open'),
                    itemId: 'open',
                    iconCls: 'fa fa-key',
                    disabled: true,
                    handler: () => me.openStorage(me.getSelection()[0]),
                },
                {
                    text: gettext('Recover from Kit'),
                    itemId: 'recover',
                    iconCls: 'fa fa-life-ring',
                    hidden: true,
                    handler: () =>
                        Ext.create('PVE.escrow.RecoverWindow', {
                            autoShow: true,
                            node: Proxmox.NodeName,
                            onRecovered: () => me.load(),
                        }),
                },
                {
                    text: gettext('Recover from a Backup Server'),
                    itemId: 'bootstrap',
                    iconCls: 'fa fa-cloud-download',
                    hidden: true,
                    handler: () =>
                        Ext.create('PVE.escrow.BootstrapWindow', {
                            autoShow: true,
                            onRecovered: () => me.load(),
                        }),
                },
                '->',
                me.createFilter(),
                { text: gettext('Reload'), iconCls: 'fa fa-refresh', handler: () => me.load() },
            ],
        };
        me.columns = [
            { text: gettext('Storage'), dataIndex: 'storage', flex: 1, minWidth: 80, renderer: utils.text },
            {
                text: gettext('State'),
                dataIndex: 'state',
                flex: 2,
                minWidth: 110,
                renderer: function (state, meta, { data }) {
                    meta.tdAttr = `data-qtip="${utils.tip(data.verdict ?? data.text)}"`;
                    return `${utils.levelIcon(utils.level(data))} ${utils.state(state)}`;
                },
            },
            { text: gettext('Key'), dataIndex: 'live', width: 205, hidden: true, renderer: utils.fingerprint },
            { text: gettext('Seals'), dataIndex: 'seals', width: 58, renderer: utils.text },
            { text: gettext('Drill'), dataIndex: 'drill', width: 130, renderer: trial, sorter: byTime('drill') },
            { text: gettext('Proof'), dataIndex: 'proof', width: 130, renderer: trial, sorter: byTime('proof') },
            {
                text: gettext('Copies'),
                dataIndex: 'copies-ok',
                width: 70,
                renderer: (ok, meta, { data }) =>
                    data['copies-total'] === undefined
                        ? '-'
                        : `${utils.text(ok)} / ${utils.text(data['copies-total'])}`,
            },
        ];
        me.callParent();
        me.on('itemdblclick', (view, row) => me.openStorage(row));
        me.on('itemkeydown', (view, row, item, index, event) =>
            event.getKey() === event.ENTER ? me.openStorage(row) : null,
        );
        me.on('selectionchange', (model, rows) => me.down('#open').setDisabled(!rows.length));
        utils.withRights(function ({ operator }) {
            for (const button of me.destroyed ? [] : me.query('#recover, #bootstrap')) {
                button.setHidden(!operator);
            }
        });
    },

    // to the tab of the storage on this node or one that has it, or else to a window
    openStorage: function (row) {
        let storage = row?.data.storage;
        if (storage) {
            PVE.escrow.Hooks.goTo(storage);
        }
    },
});
