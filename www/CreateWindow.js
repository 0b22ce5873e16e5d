// Seals a key under a new recovery code: why, the ten words, and typing them back. Until the server has opened what it
// stored with the words as they were typed, nothing counts, and what was there before stays as it was.
Ext.define('PVE.escrow.CreateWindow', {
    extend: 'PVE.escrow.Wizard',
    xtype: 'pveEscrowCreate',

    // what is sealed: { storage, fingerprint, labels, pending }
    key: {},
    // where: { create, confirm, method } as paths of the API
    urls: {},
    // called when a new seal is active
    onSealed: Ext.emptyFn,

    initComponent: function () {
        let me = this;
        me.title =
            (me.isRenewal ? gettext('Renew Recovery Code') : gettext('Create Recovery Code')) +
            (me.key.storage ? `: ${PVE.escrow.Utils.text(me.key.storage)}` : '');
        me.steps = [me.createIntroduction(), me.createWords(), me.createTypeBack()];
        me.callParent();
        me.on('beforedestroy', me.forget, me);
        me.loadPlaces();
    },

    // Where copies of the kit go, for the sheet: storages by name, and the way to the backup server, which is what a bare node
    // is told to find it there.
    loadPlaces: function () {
        let me = this;
        let utils = PVE.escrow.Utils;
        me.places = [];
        if (!me.key.storage) {
            return;
        }
        let ids = (list) => `${list ?? ''}`.split(/[\s,;]+/).filter(Boolean);
        let address = ({ server, port }) => `${server} ${port ?? 8007}`;
        utils.get('/cluster/escrow/config', function ({ copies, publish }) {
            me.places = ids(copies).map((id) => Ext.String.format(gettext("storage '{0}', in pve-escrow"), id));
            let published = ids(publish);
            if (!published.length) {
                return;
            }
            utils.get('/storage', function (rows) {
                let own = rows.find(({ storage }) => storage === me.key.storage);
                for (const row of rows.filter(({ storage }) => published.includes(storage))) {
                    if (own && address(own) === address(row)) {
                        let ns = row.namespace ? `, ${gettext('Namespace')} ${row.namespace}` : '';
                        let repository = `${row.username ?? 'root@pam'}@${row.server}${row.port ? `:${row.port}` : ''}:${row.datastore}`;
                        me.places.push(`${gettext('the backup server')}: ${repository}${ns}`);
                    }
                }
            });
        });
    },

    createIntroduction: function () {
        let me = this;
        let utils = PVE.escrow.Utils;
        let paragraphs = [
            gettext(
                'The key of these backups exists on this cluster only. Sealed under ten words, it can be copied to anywhere: who loses the cluster, but has a copy and the words, has the backups.',
            ),
        ];
        if (me.isRenewal) {
            paragraphs.push(
                gettext(
                    'The codes that exist keep opening the copies that were made with them: a new code does not revoke an old one. Only a new key does.',
                ),
            );
        }
        if (me.key.pending) {
            paragraphs.push(
                gettext('A code that was shown before was never typed back. It is given up now.'),
            );
        }
        return {
            title: gettext('Prepare'),
            itemId: 'prepare',
            layout: { type: 'vbox', align: 'stretch' },
            items: [
                {
                    xtype: 'component',
                    cls: 'escrow-text',
                    html:
                        paragraphs.map((text) => `<p>${text}</p>`).join('') +
                        `<p>${gettext('You need:')}</p><ul>` +
                        [
                            gettext('pen and paper, or a printer that keeps no copies'),
                            gettext('a place for the sheet that survives this machine'),
                            gettext('five minutes, and nobody looking at this screen'),
                        ]
                            .map((text) => `<li>${text}</li>`)
                            .join('') +
                        '</ul>',
                },
                {
                    xtype: 'combobox',
                    itemId: 'label',
                    fieldLabel: gettext('Label'),
                    labelWidth: 100,
                    emptyText: gettext('Who holds the code, or where it is kept'),
                    maxLength: 128,
                    enforceMaxLength: true,
                    queryMode: 'local',
                    store: me.key.labels ?? [],
                    hideTrigger: !me.key.labels?.length,
                    submitValue: false,
                    margin: '8 0 4 0',
                },
                {
                    xtype: 'component',
                    html: gettext('A new seal takes the place of an older one with the same label.'),
                },
                { xtype: 'component', flex: 1 },
                {
                    xtype: 'component',
                    html: `${gettext('Key')}: ${utils.fingerprint(me.key.fingerprint)}`,
                },
            ],
            nextText: gettext('Show the Words'),
            onNext: (go) => (me.secret ? go() : me.create(go)),
        };
    },

    create: function (go) {
        let me = this;
        let params = {};
        let label = me.down('#label').getRawValue().trim();
        if (label) {
            params.label = label;
        }
        if (me.key.pending) {
            params.replace = me.key.pending.id;
        }
        PVE.escrow.Utils.request({
            url: me.urls.create,
            method: 'POST',
            params: params,
            waitMsgTarget: me,
            success: function (response) {
                let { id, code, check, fingerprint } = response.result.data;
                response.result = response.responseText = null;
                me.secret = { id: id, words: code.split(' '), check: check, fingerprint: fingerprint };
                me.label = label;
                me.down('#label').setReadOnly(true);
                go();
            },
        });
    },

    createWords: function () {
        let me = this;
        return {
            title: gettext('Write Down'),
            itemId: 'write',
            layout: { type: 'vbox', align: 'stretch' },
            items: [
                {
                    xtype: 'component',
                    cls: 'escrow-text',
                    html: `<p>${gettext('Write down all ten words, in this order, or print them. They are shown this once.')}</p>`,
                },
                { xtype: 'component', itemId: 'words', minHeight: 180, padding: '0 12' },
                { xtype: 'component', itemId: 'check', padding: '6 12' },
                {
                    xtype: 'container',
                    layout: 'hbox',
                    padding: '6 8',
                    items: [
                        {
                            xtype: 'button',
                            itemId: 'copy',
                            text: gettext('Copy'),
                            iconCls: 'fa fa-clipboard',
                            handler: () => PVE.escrow.Utils.copyText(me.asText()),
                        },
                        {
                            xtype: 'button',
                            itemId: 'print',
                            text: gettext('Print'),
                            iconCls: 'fa fa-print',
                            margin: '0 0 0 8',
                            handler: () => PVE.escrow.Sheet.print(me, me.sheet()),
                        },
                        {
                            xtype: 'component',
                            padding: '4 0 0 12',
                            html: gettext('A clipboard may be shared, and is kept by some programs.'),
                        },
                    ],
                },
                {
                    xtype: 'checkbox',
                    itemId: 'written',
                    boxLabel: gettext('I have all ten words on paper'),
                    submitValue: false,
                    padding: '8 8 0 8',
                    listeners: { change: () => me.updateButtons() },
                },
            ],
            isReady: () => !!me.down('#written')?.getValue(),
            onEnter: () => me.showWords(true),
            onLeave: () => me.showWords(false),
        };
    },

    asText: function () {
        let { words, check } = this.secret;
        return [...words.map((word, i) => `${i + 1}. ${word}`), check].join('\n');
    },

    sheet: function () {
        let me = this;
        return { ...me.secret, storage: me.key.storage, label: me.label, places: me.places };
    },

    showWords: function (visible) {
        let me = this;
        let [words, check] = [me.down('#words'), me.down('#check')];
        if (!visible || !me.secret) {
            words.setHtml('');
            check.setHtml('');
            return;
        }
        let line = (word, i) => `<li><span>${i + 1}.</span>${PVE.escrow.Utils.text(word)}</li>`;
        words.setHtml(
            `<ol class="escrow-words x-selectable" aria-label="${gettext('Recovery code')}">${me.secret.words.map(line).join('')}</ol>`,
        );
        check.setHtml(
            `${gettext('Check characters')}: <b class="escrow-mono x-selectable">${PVE.escrow.Utils.text(me.secret.check)}</b>` +
                ` &nbsp; ${gettext('Key')}: ${PVE.escrow.Utils.fingerprint(me.secret.fingerprint)}`,
        );
    },

    createTypeBack: function () {
        let me = this;
        return {
            title: gettext('Type Back'),
            itemId: 'type',
            layout: { type: 'vbox', align: 'stretch' },
            items: [
                {
                    xtype: 'component',
                    cls: 'escrow-text',
                    html: `<p>${gettext('Type the words from the paper. A space ends a word; all ten can be pasted into any field.')}</p>`,
                },
                {
                    xtype: 'pveEscrowCode',
                    listeners: { complete: (fields, complete) => complete && me.confirm() },
                },
                {
                    xtype: 'component',
                    itemId: 'answer',
                    autoEl: { tag: 'div', role: 'status', 'aria-live': 'polite' },
                    padding: '10 8 0 8',
                    html: gettext('Once all are right, the server tries them on what it has stored.'),
                },
                {
                    xtype: 'button',
                    itemId: 'again',
                    hidden: true,
                    text: gettext('Try Again'),
                    margin: '8 0 0 8',
                    maxWidth: 120,
                    handler: () => me.confirm(),
                },
                {
                    xtype: 'container',
                    itemId: 'kit',
                    hidden: true,
                    layout: 'hbox',
                    padding: '8 0 0 8',
                    items: [
                        {
                            xtype: 'button',
                            text: gettext('Download Kit'),
                            iconCls: 'fa fa-download',
                            handler: () => PVE.escrow.Utils.downloadKit(me.urls.kit),
                        },
                        {
                            xtype: 'button',
                            text: gettext('Print Kit'),
                            iconCls: 'fa fa-print',
                            margin: '0 0 0 8',
                            handler: () => PVE.escrow.Sheet.printKit(me, me.urls.kit),
                        },
                    ],
                },
            ],
            isReady: () => !!me.confirmed,
            onEnter: function () {
                me.down('pveEscrowCode').expected = me.secret?.words ?? null;
            },
        };
    },

    confirm: function () {
        let me = this;
        if (me.confirming || me.confirmed || !me.secret) {
            return;
        }
        me.confirming = true;
        let utils = PVE.escrow.Utils;
        let fields = me.down('pveEscrowCode');
        let answer = me.down('#answer');
        answer.setHtml(gettext('The server opens what it has stored with these words…'));
        utils.request({
            url: me.urls.confirm,
            method: me.urls.method ?? 'POST',
            params: { id: me.secret.id, code: fields.code() },
            waitMsgTarget: me,
            success: function () {
                me.confirmed = me.noWayBack = true;
                me.forget();
                fields.wipe();
                fields.setDisabled(true);
                me.tabs.items.each((step) => step.setDisabled(step !== me.step()));
                answer.setHtml(
                    utils.levelIcon('good') +
                        ' ' +
                        gettext(
                            'The words open the stored key. The seal is active; the words are nowhere on this cluster. Put the sheet away, and send the kit to where it survives.',
                        ),
                );
                me.down('#again').hide();
                me.down('#kit').setHidden(!me.urls.kit);
                me.updateButtons();
                me.next.focus();
                me.onSealed();
            },
            failure: function (response) {
                answer.setHtml(`${utils.levelIcon('critical')} ${response.htmlStatus}`);
                me.down('#again').show();
            },
            callback: () => (me.confirming = false),
        });
    },

    onCloseAsk: function () {
        let me = this;
        if (!me.secret || me.confirmed) {
            return null;
        }
        return {
            title: gettext('Give up this code?'),
            text: gettext(
                'The server has not seen these words typed back, so they are worth nothing yet. Without that, they are given up, and what was sealed before stays as it was.',
            ),
            buttons: { yes: gettext('Give up'), no: gettext('Continue') },
        };
    },

    forget: function () {
        let me = this;
        if (me.secret) {
            me.secret.words.fill('');
            me.secret = null;
        }
        me.down('pveEscrowCode').wipe();
        me.showWords(false);
    },
});
