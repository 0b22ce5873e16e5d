// All keys that the cluster knows of, kept and orphaned ones too.
Ext.define('PVE.escrow.KeyList', {
    extend: 'PVE.escrow.ListPanel',
    xtype: 'pveEscrowKeys',

    title: gettext('Keys'),
    path: '/keys',
    emptyText: gettext('This cluster has not seen a key yet.'),
    fields: ['fingerprint', 'state', 'storages', 'seals', 'kept', 'from', 'time'],

    initComponent: function () {
        let me = this;
        let utils = PVE.escrow.Utils;
        me.sealButton = Ext.create('Ext.button.Button', {
            text: gettext('Seal'),
            itemId: 'seal',
            iconCls: 'fa fa-pencil-square-o',
            disabled: true,
            handler: () => me.seal(me.getSelection()[0].data),
        });
        me.forgetButton = Ext.create('Ext.button.Button', {
            text: gettext('Forget'),
            itemId: 'forget',
            iconCls: 'fa fa-trash-o',
            disabled: true,
            handler: () => me.askForget(me.getSelection()[0].data),
        });
        me.tbar = [
            me.sealButton,
            me.forgetButton,
            '->',
            me.createFilter(),
            { text: gettext('Reload'), iconCls: 'fa fa-refresh', handler: () => me.load() },
        ];
        me.columns = [
            {
                text: gettext('Key'),
                dataIndex: 'fingerprint',
                width: 205,
                renderer: (value) => utils.fingerprint(value) || gettext('not known'),
            },
            {
                text: gettext('State'),
                dataIndex: 'state',
                width: 85,
                renderer: (state) => (state === 'live' ? gettext('In use') : gettext('Orphaned')),
            },
            {
                text: gettext('Storages'),
                dataIndex: 'storages',
                flex: 2,
                renderer: (storages) => utils.text((storages ?? []).join(', ')) || '-',
            },
            { text: gettext('Seals'), dataIndex: 'seals', width: 60, renderer: utils.text },
            {
                text: gettext('Kept'),
                dataIndex: 'kept',
                width: 60,
                renderer: (kept) => utils.text((kept ?? []).length),
            },
            { text: gettext('Found as'), dataIndex: 'from', flex: 3, renderer: utils.text },
            { text: gettext('Kept since'), dataIndex: 'time', width: 145, renderer: utils.time },
        ];
        me.callParent();
        me.on('selectionchange', function (model, rows) {
            let kept = rows[0]?.data.kept ?? [];
            me.sealButton.setDisabled(!kept.length);
            me.forgetButton.setDisabled(!kept.length || rows[0].data.state === 'live');
        });
    },

    searched: function (data) {
        return `${this.callParent(arguments)}\n${(data.storages ?? []).join('\n')}`;
    },

    seal: function (key) {
        let me = this;
        let url = `/cluster/escrow/keys/${encodeURIComponent(key.kept[0])}`;
        Ext.create('PVE.escrow.CreateWindow', {
            autoShow: true,
            isRenewal: key.seals > 0,
            key: {
                storage: key.storages[0],
                fingerprint: key.fingerprint,
                pending: key.pending ? { id: key.pending } : undefined,
            },
            urls: { create: url, confirm: url, method: 'PUT' },
            onSealed: () => me.load(),
            listeners: { destroy: () => me.destroyed || me.load() },
        });
    },

    // there is no way back from this one: it is named in full, as on the command line
    askForget: function (key) {
        let me = this;
        let utils = PVE.escrow.Utils;
        let name = key.kept[0];
        let unsealed = key.seals > 0 ? '' : ` <b>${gettext('No recovery code opens it.')}</b>`;
        let win = Ext.create('Ext.window.Window', {
            title: gettext('Destroy a Kept Key'),
            itemId: 'forget-window',
            modal: true,
            resizable: false,
            width: 620,
            bodyPadding: 12,
            layout: { type: 'vbox', align: 'stretch' },
            items: [
                {
                    xtype: 'component',
                    cls: 'escrow-text',
                    html:
                        `<p>${utils.levelIcon('critical')} ` +
                        gettext('Backups that were made with this key, and not with any other, cannot be read without it.') +
                        `${unsealed}</p><p>${gettext('Key')}: ${utils.fingerprint(key.fingerprint) || '-'}<br>` +
                        `${gettext('Name')}: <span class="escrow-mono">${utils.text(name)}</span></p>` +
                        `<p>${gettext('Deleting is not shredding: blocks of the disks, and backups of the nodes, may still hold it. To go on, type the first eight characters of the name.')}</p>`,
                },
                {
                    xtype: 'textfield',
                    itemId: 'name',
                    fieldLabel: gettext('Name'),
                    submitValue: false,
                    listeners: {
                        change: (field, value) => ok.setDisabled(value.trim() !== name.substring(0, 8)),
                    },
                },
            ],
            defaultFocus: '#name',
        });
        let ok = Ext.create('Ext.button.Button', {
            text: gettext('Destroy'),
            itemId: 'destroy',
            disabled: true,
            handler: () =>
                utils.request({
                    url: `/cluster/escrow/keys/${encodeURIComponent(name)}`,
                    method: 'DELETE',
                    waitMsgTarget: win,
                    success: function () {
                        win.close();
                        me.load();
                    },
                }),
        });
        win.addDocked({ xtype: 'toolbar', dock: 'bottom', ui: 'footer', items: ['->', ok] });
        win.show();
    },
});
