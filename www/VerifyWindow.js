// Does a code open a seal of this storage's key? Changes nothing.
Ext.define('PVE.escrow.VerifyWindow', {
    extend: 'Ext.window.Window',
    xtype: 'pveEscrowVerify',

    modal: true,
    resizable: false,
    width: 680,
    bodyPadding: 12,
    layout: { type: 'vbox', align: 'stretch' },
    onVerified: Ext.emptyFn,

    initComponent: function () {
        let me = this;
        me.title = `${gettext('Verify Recovery Code')}: ${PVE.escrow.Utils.text(me.storage)}`;
        me.items = [
            {
                xtype: 'component',
                cls: 'escrow-text',
                html: `<p>${gettext('Type the words from the sheet. Nothing is changed: the server tries which sealed key they open.')}</p>`,
            },
            {
                xtype: 'pveEscrowCode',
                withCheck: true,
                listeners: { complete: (fields, complete) => me.submit.setDisabled(!complete) },
            },
            {
                xtype: 'component',
                itemId: 'answer',
                autoEl: { tag: 'div', role: 'status', 'aria-live': 'polite' },
                minHeight: 44,
                padding: '10 8 0 8',
            },
        ];
        me.submit = Ext.create('Ext.button.Button', {
            text: gettext('Verify'),
            itemId: 'verify',
            disabled: true,
            handler: () => me.verify(),
        });
        me.buttons = ['->', me.submit];
        me.defaultFocus = 'pveEscrowWord';
        me.callParent();
        me.on('beforedestroy', () => me.down('pveEscrowCode').wipe());
    },

    verify: function () {
        let me = this;
        let utils = PVE.escrow.Utils;
        let answer = me.down('#answer');
        answer.setHtml('');
        utils.request({
            url: utils.storageUrl(me.node, me.storage, 'verify'),
            method: 'POST',
            params: { code: me.down('pveEscrowCode').code() },
            waitMsgTarget: me,
            success: function (response) {
                let seal = response.result.data;
                let text = seal.label
                    ? utils.format(
                          gettext("Right: the code opens the seal '{0}' of {1}."),
                          seal.label,
                          utils.time(seal.created),
                      )
                    : utils.format(
                          gettext('Right: the code opens the seal of {0}.'),
                          utils.time(seal.created),
                      );
                if (seal.state === 'superseded') {
                    text += ` ${gettext('A newer code has taken its place, and opens the key too.')}`;
                }
                answer.setHtml(`${utils.levelIcon('good')} ${text}`);
                me.onVerified();
            },
            failure: (response) =>
                answer.setHtml(`${utils.levelIcon('critical')} ${response.htmlStatus}`),
        });
    },
});
