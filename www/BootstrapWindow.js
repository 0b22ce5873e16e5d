// From a login on a backup server and ten words to backups that can be restored: on a cluster that has nothing else.
Ext.define('PVE.escrow.BootstrapWindow', {
    extend: 'PVE.escrow.Wizard',
    xtype: 'pveEscrowBootstrap',

    title: gettext('Recover from a Backup Server'),
    onRecovered: Ext.emptyFn,

    initComponent: function () {
        let me = this;
        me.steps = [me.createLogin(), me.createKits(), me.createCode()];
        me.callParent();
        me.on('beforedestroy', () => me.down('pveEscrowCode').wipe());
    },

    createLogin: function () {
        let me = this;
        let field = (name, label, more) => ({
            xtype: 'textfield',
            itemId: name,
            fieldLabel: label,
            labelWidth: 130,
            submitValue: false,
            inputAttrTpl: 'autocomplete="off" spellcheck="false"',
            listeners: { change: () => me.updateButtons() },
            ...more,
        });
        return {
            title: gettext('Backup Server'),
            itemId: 'login',
            layout: { type: 'vbox', align: 'stretch' },
            items: [
                {
                    xtype: 'component',
                    cls: 'escrow-text',
                    html: `<p>${gettext('The kits that a cluster has left on its backup server are read from there. The secret goes to the server that is named here, and to no other, whatever a kit says.')}</p>`,
                },
                field('server', gettext('Server'), { allowBlank: false, emptyText: '192.0.2.1' }),
                field('datastore', gettext('Datastore'), { allowBlank: false }),
                field('username', gettext('User or Token'), {
                    allowBlank: false,
                    emptyText: gettext('the one that owns the backups: user@pbs!token'),
                }),
                field('password', gettext('Secret'), { allowBlank: false, inputType: 'password' }),
                field('fingerprint', gettext('Fingerprint'), {
                    emptyText: gettext("of the server's certificate, as its dashboard shows it"),
                    regex: /^\s*([A-Fa-f0-9]{2}:){31}[A-Fa-f0-9]{2}\s*$/,
                    regexText: gettext('32 pairs of digits and letters a to f, with colons between them'),
                }),
                field('ns', gettext('Namespace'), { emptyText: gettext('Root') }),
            ],
            isReady: () => me.query('#login textfield').every((field) => field.isValid()),
            nextText: gettext('Look for Kits'),
            onNext: (go) => me.look(go),
        };
    },

    createKits: function () {
        let utils = PVE.escrow.Utils;
        return {
            title: gettext('Kits'),
            layout: { type: 'vbox', align: 'stretch' },
            items: [
                {
                    xtype: 'component',
                    cls: 'escrow-text',
                    html: `<p>${gettext('This is what the kits say of themselves. Which of them are genuine shows once the words have opened the key.')}</p>`,
                },
                {
                    xtype: 'grid',
                    itemId: 'kits',
                    border: true,
                    flex: 1,
                    store: {
                        fields: ['storage', 'fingerprint', 'created', 'snapshot'],
                        sorters: { property: 'created', direction: 'DESC' },
                        data: [],
                    },
                    columns: [
                        { text: gettext('Storage'), dataIndex: 'storage', flex: 2, renderer: utils.text },
                        {
                            text: gettext('Key'),
                            dataIndex: 'fingerprint',
                            width: 205,
                            renderer: utils.fingerprint,
                        },
                        { text: gettext('Made'), dataIndex: 'created', width: 150, renderer: utils.time },
                        { text: gettext('Snapshot'), dataIndex: 'snapshot', flex: 3, renderer: utils.text },
                    ],
                },
                { xtype: 'component', itemId: 'problems', cls: 'escrow-text', margin: '8 0 0 0' },
            ],
        };
    },

    createCode: function () {
        let me = this;
        return {
            title: gettext('Words'),
            layout: { type: 'vbox', align: 'stretch' },
            items: [
                {
                    xtype: 'component',
                    cls: 'escrow-text',
                    html: `<p>${gettext('The storages of the kits that the words open are made, their keys installed, and a snapshot of each is decrypted. A key that a storage has already is left as it is.')}</p>`,
                },
                {
                    xtype: 'pveEscrowCode',
                    withCheck: true,
                    listeners: {
                        complete: function (fields, complete) {
                            me.hasCode = complete;
                            me.updateButtons();
                        },
                    },
                },
            ],
            isReady: () => !!me.hasCode,
            nextText: gettext('Recover'),
            onNext: () => me.recover(),
        };
    },

    login: function () {
        let me = this;
        let value = (name) => me.down(`#${name}`).getValue().trim();
        let server = value('server').replace(/^[0-9a-f]*:[0-9a-f]*:[0-9a-f:.]*$/i, '[$&]');
        let login = {
            repository: `${value('username')}@${server}:${value('datastore')}`,
            password: me.down('#password').getValue(),
        };
        for (const name of ['fingerprint', 'ns']) {
            if (value(name)) {
                login[name] = value(name);
            }
        }
        return login;
    },

    look: function (go) {
        let me = this;
        PVE.escrow.Utils.request({
            url: '/cluster/escrow/bootstrap/kits',
            method: 'POST',
            params: me.login(),
            timeout: 40000,
            waitMsgTarget: me,
            success: function ({ result }) {
                me.down('#kits').getStore().loadData(result.data.kits);
                me.down('#problems').setHtml(
                    result.data.problems
                        .map((text) => `<p>${PVE.escrow.Utils.levelIcon('warning')} ${PVE.escrow.Utils.text(text)}</p>`)
                        .join(''),
                );
                go();
            },
        });
    },

    // What was done, and what can be restored with which command, is in the log of the task. If it fails, all that was typed is
    // still there.
    recover: function () {
        let me = this;
        PVE.escrow.Utils.request({
            url: '/cluster/escrow/bootstrap',
            method: 'POST',
            params: { ...me.login(), code: me.down('pveEscrowCode').code() },
            waitMsgTarget: me,
            success: function ({ result }) {
                PVE.escrow.Utils.showTask(result.data, function (isDone) {
                    me.onRecovered();
                    if (isDone && !me.destroyed) {
                        me.close();
                    }
                });
            },
        });
    },
});
