// Whose master keys get a copy of the key with each backup; set and remove that of the storage. The public half only.
Ext.define('PVE.escrow.MasterKeyWindow', {
    extend: 'Ext.window.Window',
    xtype: 'pveEscrowMasterKey',

    modal: true,
    resizable: false,
    width: 680,
    bodyPadding: 12,
    layout: { type: 'vbox', align: 'stretch' },
    onChanged: Ext.emptyFn,

    initComponent: function () {
        let me = this;
        me.title = `${gettext('Master Key')}: ${PVE.escrow.Utils.text(me.storage)}`;
        me.items = [
            {
                xtype: 'component',
                cls: 'escrow-text',
                html:
                    `<p>${gettext('With each backup goes a copy of the key that only the holder of the private half can open.')}</p>` +
                    `<p>${gettext('Make it on another machine, and leave the private half there:')} <code>pve-escrow-rescue master-key create</code></p>`,
            },
            {
                xtype: 'component',
                itemId: 'present',
                autoEl: { tag: 'div', role: 'status', 'aria-live': 'polite' },
                minHeight: 44,
                padding: '8 0',
            },
            {
                xtype: 'textarea',
                itemId: 'pem',
                fieldLabel: gettext('Public half'),
                labelAlign: 'top',
                emptyText: '-----BEGIN PUBLIC KEY-----',
                fieldCls: 'escrow-mono x-form-field',
                height: 200,
                listeners: {
                    change: (field, value) => me.down('#set').setDisabled(!value.trim()),
                },
            },
        ];
        me.buttons = [
            {
                text: gettext('Remove'),
                itemId: 'remove',
                disabled: true,
                handler: () => me.remove(),
            },
            '->',
            {
                text: gettext('Set'),
                itemId: 'set',
                disabled: true,
                handler: () => me.request('PUT', { pem: me.down('#pem').getValue() }),
            },
        ];
        me.callParent();
        me.on('afterrender', () => me.load());
    },

    load: function () {
        let me = this;
        PVE.escrow.Utils.request({
            url: PVE.escrow.Utils.storageUrl(me.node, me.storage, 'master-key'),
            method: 'GET',
            success: (response) => me.showKeys(response.result.data),
            failure: (response) => me.down('#present').setHtml(response.htmlStatus),
        });
    },

    showKeys: function (keys) {
        let me = this;
        let utils = PVE.escrow.Utils;
        let lines = keys.map(({ where, bits, sha256, problem }) => {
            let what = problem
                ? utils.format(gettext('Every backup fails with it: {0}'), problem)
                : utils.format(gettext('{0} bits, SHA-256 {1}'), bits, sha256);
            return `${utils.levelIcon(problem ? 'critical' : 'good')} ${utils.text(where)}: ${what}`;
        });
        me.down('#present').setHtml(lines.join('<br>') || gettext('None: only this cluster and its seals have the key.'));
        me.down('#remove').setDisabled(!keys.some((key) => key.where === 'storage'));
    },

    remove: function () {
        let me = this;
        let question = gettext('Backups made from now on take along no copy of the key. Earlier ones keep theirs. Remove it?');
        Ext.Msg.confirm(gettext('Confirm'), question, (answer) => answer === 'yes' && me.request('DELETE'));
    },

    request: function (method, params) {
        let me = this;
        PVE.escrow.Utils.request({
            url: PVE.escrow.Utils.storageUrl(me.node, me.storage, 'master-key'),
            method: method,
            params: params,
            waitMsgTarget: me,
            success: function () {
                me.down('#pem').reset();
                me.load();
                me.onChanged();
            },
            failure: (response) => Ext.Msg.alert(gettext('Error'), response.htmlStatus),
        });
    },
});
