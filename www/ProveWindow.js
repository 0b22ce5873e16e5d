// Decrypts real backup data: a proof with the live key, or a drill with the key that the words bring back. The task
// that does it is shown in Proxmox VE's own viewer.
Ext.define('PVE.escrow.ProveWindow', {
    extend: 'Ext.window.Window',
    xtype: 'pveEscrowProve',

    modal: true,
    resizable: false,
    width: 760,
    bodyPadding: 12,
    layout: { type: 'vbox', align: 'stretch' },
    isDrill: false,
    onDone: Ext.emptyFn,

    initComponent: function () {
        let me = this;
        let utils = PVE.escrow.Utils;
        me.title = `${me.isDrill ? gettext('Drill') : gettext('Prove Now')}: ${utils.text(me.storage)}`;
        me.items = [
            {
                xtype: 'component',
                cls: 'escrow-text',
                html: `<p>${
                    me.isDrill
                        ? gettext('A rehearsal of the loss: the key is taken from its sealed copy with the words, and must decrypt real backups. Nothing is changed.')
                        : gettext('The present key must decrypt real backups. Nothing is changed.')
                }</p>`,
            },
            {
                xtype: 'fieldcontainer',
                fieldLabel: gettext('Amount'),
                layout: { type: 'hbox', align: 'middle' },
                items: [
                    {
                        xtype: 'radiofield',
                        name: `amount-${me.id}`,
                        itemId: 'sample',
                        boxLabel: gettext('A sample of each archive, MiB:'),
                        checked: true,
                        submitValue: false,
                        listeners: {
                            change: (field, on) => me.down('#size').setDisabled(!on),
                        },
                    },
                    {
                        xtype: 'numberfield',
                        itemId: 'size',
                        ariaLabel: gettext('Size of the sample in MiB'),
                        value: 16,
                        minValue: 1,
                        allowDecimals: false,
                        allowBlank: false,
                        submitValue: false,
                        width: 80,
                        margin: '0 0 0 6',
                    },
                    {
                        xtype: 'radiofield',
                        name: `amount-${me.id}`,
                        itemId: 'full',
                        boxLabel: gettext('All of it'),
                        submitValue: false,
                        margin: '0 0 0 20',
                    },
                ],
            },
            {
                xtype: 'grid',
                itemId: 'snapshots',
                title: gettext('Snapshots (none selected: the newest of each guest)'),
                border: true,
                height: me.isDrill ? 150 : 240,
                selModel: { type: 'checkboxmodel', mode: 'SIMPLE' },
                store: {
                    fields: ['name', 'time', 'size'],
                    sorters: { property: 'time', direction: 'DESC' },
                    data: [],
                },
                viewConfig: { emptyText: gettext('No encrypted snapshots are listed here.') },
                columns: [
                    { text: gettext('Snapshot'), dataIndex: 'name', flex: 3, renderer: utils.text },
                    { text: gettext('Time'), dataIndex: 'time', flex: 2, renderer: utils.time },
                    {
                        text: gettext('Size'),
                        dataIndex: 'size',
                        flex: 1,
                        renderer: (size) => Proxmox.Utils.format_size(size),
                    },
                ],
            },
        ];
        if (me.isDrill) {
            me.items.push({
                xtype: 'pveEscrowCode',
                withCheck: true,
                margin: '10 0 0 0',
                listeners: { complete: (fields, complete) => me.submit.setDisabled(!complete) },
            });
        }
        me.submit = Ext.create('Ext.button.Button', {
            text: me.isDrill ? gettext('Start Drill') : gettext('Prove'),
            itemId: 'prove',
            disabled: me.isDrill,
            handler: () => me.start(),
        });
        me.buttons = ['->', me.submit];
        me.defaultFocus = me.isDrill ? 'pveEscrowWord' : '#prove';
        me.callParent();
        me.on('beforedestroy', () => me.down('pveEscrowCode')?.wipe());
        me.load();
    },

    load: function () {
        let me = this;
        let path = `/nodes/${encodeURIComponent(me.node)}/storage/${encodeURIComponent(me.storage)}/content`;
        PVE.escrow.Utils.get(`${path}?content=backup`, function (rows) {
            if (me.destroyed) {
                return;
            }
            let snapshots = rows
                .filter((row) => row.encrypted)
                .map((row) => ({
                    name: `${row.volid}`.replace(/^[^/]*\//, ''),
                    time: row.ctime,
                    size: row.size,
                }));
            me.down('#snapshots').getStore().loadData(snapshots);
        });
    },

    params: function () {
        let me = this;
        let selected = me.down('#snapshots').getSelection();
        let params = {};
        if (selected.length) {
            params.snapshots = selected.map((row) => row.data.name);
        }
        if (me.down('#full').getValue()) {
            params.full = 1;
        } else {
            params.sample = me.down('#size').getValue();
        }
        if (me.isDrill) {
            params.code = me.down('pveEscrowCode').code();
        }
        return params;
    },

    start: function () {
        let me = this;
        let utils = PVE.escrow.Utils;
        if (!me.down('#size').isValid()) {
            return;
        }
        utils.request({
            url: utils.storageUrl(me.node, me.storage, 'prove'),
            method: 'POST',
            params: me.params(),
            waitMsgTarget: me,
            success: function (response) {
                utils.showTask(response.result.data, me.onDone);
                me.close();
            },
        });
    },
});
