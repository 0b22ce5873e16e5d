// Brings a key back: where from, what will happen, the words. Without a storage it adds one, which needs a kit and the
// secret of the backup server.
Ext.define('PVE.escrow.RecoverWindow', {
    extend: 'PVE.escrow.Wizard',
    xtype: 'pveEscrowRecover',

    node: null,
    storage: null,
    // what the storage has now: live and configured; not known before the server says so
    status: null,
    onRecovered: Ext.emptyFn,

    initComponent: function () {
        let me = this;
        me.title =
            gettext('Recover Key') + (me.storage ? `: ${PVE.escrow.Utils.text(me.storage)}` : '');
        me.isNew = !me.storage;
        me.steps = [me.createSource(), me.createCheck(), me.createCode(), me.createDone()];
        me.callParent();
        me.on('beforedestroy', () => me.down('pveEscrowCode').wipe());
        me.on('afterrender', () => me.acceptDrops());
        if (me.isNew) {
            me.status = {};
        } else {
            me.loadStatus();
        }
    },

    loadStatus: function () {
        let me = this;
        PVE.escrow.Utils.get(
            PVE.escrow.Utils.storageUrl(me.node, me.storage, 'status'),
            function (status) {
                if (!me.destroyed) {
                    me.status = status;
                    me.loadRecords();
                    me.updateButtons();
                }
            },
            PVE.escrow.Utils.alert,
        );
    },

    createSource: function () {
        let me = this;
        return {
            title: gettext('Source'),
            itemId: 'source',
            layout: { type: 'vbox', align: 'stretch' },
            items: [
                {
                    xtype: 'radiogroup',
                    hidden: me.isNew,
                    columns: 1,
                    items: [
                        {
                            boxLabel: gettext('A sealed key that this cluster has a record of'),
                            name: `from-${me.id}`,
                            inputValue: 'record',
                            checked: !me.isNew,
                            submitValue: false,
                        },
                        {
                            boxLabel: gettext('A copy of the kit on another storage'),
                            name: `from-${me.id}`,
                            inputValue: 'copy',
                            itemId: 'from-copy',
                            submitValue: false,
                            listeners: { change: () => me.onSource() },
                        },
                        {
                            boxLabel: gettext('A kit, or a sealed key file'),
                            name: `from-${me.id}`,
                            inputValue: 'kit',
                            itemId: 'from-kit',
                            checked: me.isNew,
                            submitValue: false,
                            listeners: { change: () => me.onSource() },
                        },
                    ],
                },
                {
                    xtype: 'combobox',
                    itemId: 'record',
                    hidden: me.isNew,
                    fieldLabel: gettext('Key'),
                    labelWidth: 100,
                    queryMode: 'local',
                    editable: false,
                    valueField: 'fingerprint',
                    displayField: 'text',
                    emptyText: gettext('This cluster has no record of a sealed key: use a kit.'),
                    store: { fields: ['fingerprint', 'text'], data: [] },
                    submitValue: false,
                    margin: '8 0',
                    listeners: { change: () => me.updateButtons() },
                },
                {
                    xtype: 'combobox',
                    itemId: 'copy',
                    hidden: true,
                    fieldLabel: gettext('Storage'),
                    labelWidth: 100,
                    queryMode: 'local',
                    store: [],
                    submitValue: false,
                    margin: '8 0',
                    listeners: { change: () => me.updateButtons() },
                },
                {
                    xtype: 'container',
                    itemId: 'upload',
                    hidden: !me.isNew,
                    layout: { type: 'vbox', align: 'stretch' },
                    margin: '8 0',
                    items: [
                        {
                            xtype: 'component',
                            itemId: 'drop',
                            cls: 'escrow-drop',
                            html: gettext('Drag the file to this window, or choose it.'),
                        },
                        {
                            xtype: 'filefield',
                            itemId: 'file',
                            buttonText: gettext('Select File…'),
                            fieldLabel: gettext('File'),
                            submitValue: false,
                            margin: '8 0 0 0',
                            listeners: {
                                change: (field) => me.readFile(field.fileInputEl.dom.files[0]),
                            },
                        },
                        {
                            xtype: 'component',
                            itemId: 'kit',
                            padding: '8 0 0 0',
                            autoEl: { tag: 'div', role: 'status', 'aria-live': 'polite' },
                        },
                    ],
                },
                {
                    xtype: 'container',
                    itemId: 'new',
                    hidden: !me.isNew,
                    layout: { type: 'vbox', align: 'stretch' },
                    items: [
                        {
                            xtype: 'textfield',
                            itemId: 'storage',
                            fieldLabel: gettext('Storage ID'),
                            submitValue: false,
                            listeners: { change: () => me.updateButtons() },
                        },
                        {
                            xtype: 'textfield',
                            itemId: 'password',
                            inputType: 'password',
                            inputAttrTpl: 'autocomplete="new-password"',
                            fieldLabel: gettext('Password'),
                            emptyText: gettext('The secret of the backup server'),
                            submitValue: false,
                        },
                    ],
                },
            ],
            isReady: () => !!me.status && !!me.coming() && (!me.isNew || !!me.down('#storage').getValue()),
            onNext: function (go) {
                me.showCheck();
                go();
            },
        };
    },

    fromKit: function () {
        return this.isNew || this.down('#from-kit').getValue();
    },

    fromCopy: function () {
        return !this.fromKit() && this.down('#from-copy').getValue();
    },

    onSource: function () {
        let me = this;
        if (me.rendered) {
            me.down('#record').setHidden(me.fromKit() || me.fromCopy());
            me.down('#copy').setHidden(!me.fromCopy());
            me.down('#upload').setHidden(!me.fromKit());
            me.updateButtons();
        }
    },

    loadRecords: function () {
        let me = this;
        let utils = PVE.escrow.Utils;
        let copies = (me.status.copies ?? []).map(({ storage }) => storage);
        me.down('#copy').getStore().loadData(copies.map((storage) => [storage]));
        me.down('#copy').setValue(copies[0]);
        utils.get('/cluster/escrow/keys', function (keys) {
            if (me.destroyed) {
                return;
            }
            let rows = keys
                .filter((key) => key.fingerprint && key.seals > 0)
                .map((key) => ({
                    fingerprint: key.fingerprint,
                    text: `${utils.short(key.fingerprint)} (${key.storages.join(', ') || gettext('no storage')})`,
                }));
            let record = me.down('#record');
            record.getStore().loadData(rows);
            let wanted = me.status.configured ?? me.status.live;
            record.setValue(
                rows.find((row) => row.fingerprint === wanted)?.fingerprint ?? rows[0]?.fingerprint,
            );
        });
    },

    // a file that is dropped beside the field would take the browser to it
    acceptDrops: function () {
        let me = this;
        me.el.on({
            dragover: (event) => event.preventDefault(),
            drop: function (event) {
                event.preventDefault();
                let file = event.event.dataTransfer.files[0];
                if (file && me.step().itemId === 'source') {
                    me.down('#from-kit').setValue(true);
                    me.readFile(file);
                }
            },
        });
    },

    readFile: function (file) {
        let me = this;
        if (!file) {
            return;
        }
        me.kit = null;
        let say = function (level, text) {
            me.down('#kit').setHtml(`${PVE.escrow.Utils.levelIcon(level)} ${text}`);
            me.updateButtons();
        };
        if (file.size > 65536) {
            say('critical', gettext('This is larger than a kit can be.'));
            return;
        }
        let reader = new FileReader();
        reader.onload = function () {
            if (me.destroyed) {
                return;
            }
            let content = Ext.decode(reader.result, true);
            if (!Ext.isObject(content) || !(content.kdf || Ext.isArray(content.seals))) {
                say('critical', gettext('This is neither a kit nor a sealed key file.'));
                return;
            }
            me.kit = { text: reader.result, claim: `${content.fingerprint ?? ''}` };
            say('good', PVE.escrow.Utils.text(file.name));
        };
        reader.onerror = () => say('critical', gettext('The file cannot be read.'));
        reader.readAsText(file);
    },

    // which key it would be: what a kit says of itself is a claim
    coming: function () {
        let me = this;
        if (me.fromKit()) {
            return me.kit ? { fingerprint: me.kit.claim, isClaim: true } : null;
        }
        // a copy is that of the key which the storage names
        if (me.fromCopy()) {
            let fingerprint = me.status.live ?? me.status.configured;
            return me.down('#copy').getValue() ? { fingerprint: fingerprint } : null;
        }
        let fingerprint = me.down('#record').getValue();
        return fingerprint ? { fingerprint: fingerprint } : null;
    },

    // a key in the way, which must be named
    displaced: function () {
        let me = this;
        let coming = me.coming()?.fingerprint;
        return [me.status.live, me.status.configured].find((key) => key && key !== coming);
    },

    createCheck: function () {
        let me = this;
        return {
            title: gettext('What Will Happen'),
            itemId: 'check-step',
            layout: { type: 'vbox', align: 'stretch' },
            items: [
                { xtype: 'component', itemId: 'plan', cls: 'escrow-text' },
                {
                    xtype: 'textfield',
                    itemId: 'displace',
                    hidden: true,
                    fieldLabel: gettext('Fingerprint of the present key, in short form'),
                    labelAlign: 'top',
                    inputAttrTpl: 'autocomplete="off" spellcheck="false"',
                    fieldCls: 'escrow-mono',
                    submitValue: false,
                    maxWidth: 360,
                    listeners: { change: () => me.updateButtons() },
                },
            ],
            isReady: function () {
                let displaced = me.displaced();
                let typed = me.down('#displace').getValue().trim().toLowerCase();
                return !displaced || typed === PVE.escrow.Utils.short(displaced);
            },
        };
    },

    showCheck: function () {
        let me = this;
        let utils = PVE.escrow.Utils;
        let { fingerprint, isClaim } = me.coming();
        let displaced = me.displaced();
        let none = gettext('none');
        let says = isClaim ? ` (${gettext('as the file says; the words prove it')})` : '';
        let happens = me.isNew
            ? gettext('The storage is added as the kit says, once the words have proven the kit, and gets the key.')
            : !displaced && me.status.live
              ? gettext('The storage has this key already. Nothing is changed.')
              : displaced
                ? utils.format(
                      gettext(
                          'The storage has another key, {0}. It is displaced, and kept: new backups are made with the recovered key, and the ones made with {0} need that one. To go on, type its fingerprint.',
                      ),
                      utils.short(displaced),
                  )
                : gettext('The key becomes that of the storage. Backups work again, and old ones can be restored.');
        me.down('#plan').setHtml(
            `<table class="escrow-table" style="margin-bottom: 12px"><tbody>
            <tr><th scope="row">${gettext('Key file')}</th><td>${utils.fingerprint(me.status.live) || none}</td></tr>
            <tr><th scope="row">storage.cfg</th><td>${utils.fingerprint(me.status.configured) || none}</td></tr>
            <tr><th scope="row">${gettext('Recovered key')}</th><td>${utils.fingerprint(fingerprint) || gettext('not known before the words open it')}${says}</td></tr>
            </tbody></table><p>${happens}</p>`,
        );
        me.down('#displace').setHidden(!displaced);
    },

    createCode: function () {
        let me = this;
        return {
            title: gettext('Words'),
            itemId: 'code',
            layout: { type: 'vbox', align: 'stretch' },
            items: [
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
                {
                    xtype: 'component',
                    itemId: 'answer',
                    autoEl: { tag: 'div', role: 'status', 'aria-live': 'polite' },
                    padding: '10 8 0 8',
                },
            ],
            isReady: () => !!me.hasCode,
            nextText: gettext('Recover'),
            onNext: (go) => me.recover(go),
        };
    },

    params: function () {
        let me = this;
        let params = { code: me.down('pveEscrowCode').code() };
        if (me.fromKit()) {
            params.source = me.kit.text;
        } else if (me.fromCopy()) {
            params.copy = me.down('#copy').getValue();
        } else {
            params.fingerprint = me.down('#record').getValue();
        }
        let displace = me.down('#displace').getValue().trim();
        if (me.displaced() && displace) {
            params.displace = displace.toLowerCase();
        }
        let password = me.down('#password').getValue();
        if (me.isNew && password) {
            params.password = password;
        }
        return params;
    },

    recover: function (go) {
        let me = this;
        let utils = PVE.escrow.Utils;
        let storage = me.storage ?? me.down('#storage').getValue().trim();
        let answer = me.down('#answer');
        answer.setHtml('');
        utils.request({
            url: utils.storageUrl(me.node, storage, 'recover'),
            method: 'POST',
            params: me.params(),
            waitMsgTarget: me,
            success: function (response) {
                me.down('pveEscrowCode').wipe();
                me.down('#password').setValue('');
                me.noWayBack = true;
                me.showDone(storage, response.result.data);
                go();
                me.onRecovered();
            },
            failure: (response) =>
                answer.setHtml(`${utils.levelIcon('critical')} ${response.htmlStatus}`),
        });
    },

    createDone: () => ({
        title: gettext('Result'),
        itemId: 'done',
        items: [
            {
                xtype: 'component',
                itemId: 'result',
                cls: 'escrow-text',
                autoEl: { tag: 'div', role: 'status', 'aria-live': 'polite' },
            },
        ],
    }),

    showDone: function (storage, result) {
        let utils = PVE.escrow.Utils;
        let lines = [
            Number(result.changed)
                ? utils.format(gettext("Storage '{0}' has the key now."), storage)
                : utils.format(gettext("Storage '{0}' had the key already."), storage),
        ];
        if (result.kept) {
            lines.push(utils.format(gettext('The key that was there is kept: {0}'), result.kept));
        }
        lines.push(gettext('Prove now that it reads the backups: a proof decrypts some of them.'));
        this.down('#result').setHtml(
            `<p>${utils.levelIcon('good')} ${gettext('Key')} ${utils.fingerprint(result.fingerprint)}</p>` +
                lines.map((line) => `<p>${line}</p>`).join(''),
        );
    },
});
