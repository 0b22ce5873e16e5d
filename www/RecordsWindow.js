// The keys of a storage that there are records of, past and present, with their seals.
Ext.define('PVE.escrow.RecordsWindow', {
    extend: 'Ext.window.Window',
    xtype: 'pveEscrowRecords',

    modal: true,
    width: 860,
    height: 420,
    layout: 'fit',
    isOperator: false,
    onDropped: Ext.emptyFn,

    initComponent: function () {
        let me = this;
        let utils = PVE.escrow.Utils;
        me.title = `${gettext('Records')}: ${utils.text(me.storage)}`;
        me.store = Ext.create('Ext.data.Store', {
            fields: ['fingerprint', 'live', 'label', 'state', 'by', 'created', 'confirmed', 'last-verified'],
            groupField: 'fingerprint',
        });
        me.dropButton = Ext.create('Ext.button.Button', {
            text: gettext('Give Up Record'),
            itemId: 'drop',
            iconCls: 'fa fa-trash-o',
            disabled: true,
            hidden: !me.isOperator,
            handler: () => me.askDrop(me.grid.getSelection()[0].data),
        });
        me.grid = Ext.create('Ext.grid.Panel', {
            store: me.store,
            border: false,
            tbar: [me.dropButton, { text: gettext('Reload'), iconCls: 'fa fa-refresh', handler: () => me.load() }],
            features: [
                {
                    ftype: 'grouping',
                    collapsible: false,
                    groupHeaderTpl: [
                        '{[this.head(values)]}',
                        {
                            head: function (group) {
                                let row = group.children[0].data;
                                return (
                                    utils.fingerprint(row.fingerprint) +
                                    (row.live ? ` (${gettext('the present key')})` : ` (${gettext('a past key')})`)
                                );
                            },
                        },
                    ],
                },
            ],
            viewConfig: { emptyText: gettext('No key of this storage was ever sealed.') },
            columns: [
                {
                    text: gettext('Label'),
                    dataIndex: 'label',
                    flex: 2,
                    renderer: utils.label,
                },
                { text: gettext('State'), dataIndex: 'state', flex: 1, renderer: utils.sealState },
                { text: gettext('Created by'), dataIndex: 'by', flex: 1, renderer: utils.text },
                { text: gettext('Created'), dataIndex: 'created', width: 150, renderer: utils.time },
                { text: gettext('Confirmed'), dataIndex: 'confirmed', width: 150, renderer: utils.time },
                { text: gettext('Last verified'), dataIndex: 'last-verified', width: 150, renderer: utils.time },
            ],
            listeners: { selectionchange: (model, rows) => me.dropButton.setDisabled(!rows.length) },
        });
        me.items = [me.grid];
        me.callParent();
        me.load();
    },

    load: function () {
        let me = this;
        let utils = PVE.escrow.Utils;
        utils.get(
            utils.storageUrl(me.node, me.storage, 'records'),
            function (records) {
                if (!me.destroyed) {
                    let rows = records.flatMap(({ fingerprint, live, seals }) =>
                        seals.map((seal) => ({ ...seal, id: undefined, fingerprint, live: !!Number(live) })),
                    );
                    me.store.loadData(rows);
                }
            },
            utils.alert,
        );
    },

    askDrop: function ({ fingerprint }) {
        let me = this;
        let utils = PVE.escrow.Utils;
        utils.get('/cluster/escrow/keys', function (keys) {
            let storages = keys.find((key) => key.fingerprint === fingerprint)?.storages ?? [];
            let who = storages.length
                ? utils.format(gettext('It is the key of: {0}.'), storages.join(', '))
                : gettext('No storage has it now.');
            Ext.Msg.show({
                title: gettext('Give up all seals of this key?'),
                message:
                    `${utils.fingerprint(fingerprint)}<br><br>${who} ` +
                    gettext('The recovery codes are of no use on this cluster then; kits elsewhere still open. What was sealed is moved to /etc/pve/priv/escrow/dropped.'),
                icon: Ext.Msg.WARNING,
                buttons: Ext.Msg.YESNO,
                defaultFocus: 'no',
                callback: (button) => (button === 'yes' ? me.drop(fingerprint, storages) : null),
            });
        });
    },

    drop: function (fingerprint, storages) {
        let me = this;
        let utils = PVE.escrow.Utils;
        let query = storages.length ? `?storages=${encodeURIComponent(storages.join(','))}` : '';
        utils.request({
            url: utils.storageUrl(me.node, me.storage, `records/${encodeURIComponent(fingerprint)}${query}`),
            method: 'DELETE',
            waitMsgTarget: me,
            success: function () {
                me.load();
                me.onDropped();
            },
        });
    },
});
