// What happened to keys, seals and copies.
Ext.define('PVE.escrow.EvidenceList', {
    extend: 'PVE.escrow.ListPanel',
    xtype: 'pveEscrowEvidence',

    title: gettext('Evidence'),
    path: '/evidence',
    emptyText: gettext('Nothing has happened yet.'),
    fields: ['time', 'node', 'user', 'event', 'storage', 'fingerprint', 'result', 'text', 'line'],

    initComponent: function () {
        let me = this;
        let utils = PVE.escrow.Utils;
        me.tbar = [
            { text: gettext('Verify'), itemId: 'check', iconCls: 'fa fa-check-square-o', handler: () => me.check() },
            { text: gettext('Report'), itemId: 'report', iconCls: 'fa fa-download', handler: () => me.report() },
            '->',
            me.createFilter(),
            { text: gettext('Reload'), iconCls: 'fa fa-refresh', handler: () => me.load() },
        ];
        me.columns = [
            { text: gettext('Time'), dataIndex: 'time', width: 145, renderer: utils.time },
            { text: gettext('Node'), dataIndex: 'node', width: 90, hidden: true, renderer: utils.text },
            { text: gettext('User'), dataIndex: 'user', width: 95, renderer: utils.text },
            { text: gettext('Event'), dataIndex: 'event', width: 90, renderer: utils.text },
            { text: gettext('Storage'), dataIndex: 'storage', width: 90, renderer: utils.text },
            { text: gettext('Key'), dataIndex: 'fingerprint', width: 205, renderer: utils.fingerprint },
            { text: gettext('Result'), dataIndex: 'result', width: 80, renderer: utils.result },
            { text: gettext('Details'), dataIndex: 'text', flex: 1, minWidth: 100, renderer: utils.text },
        ];
        me.callParent();
    },

    check: function () {
        let utils = PVE.escrow.Utils;
        utils.get(
            '/cluster/escrow/evidence/verify',
            function ({ result, text, lines, head, findings }) {
                let more = (findings ?? []).map((finding) => `<br>${utils.text(finding)}`).join('');
                Ext.Msg.show({
                    title: gettext('Evidence'),
                    icon: result === 'ok' ? Ext.Msg.INFO : Ext.Msg.ERROR,
                    buttons: Ext.Msg.OK,
                    message:
                        `${utils.text(text)}${more}<br><br>${gettext('Lines')}: ${utils.text(lines)}` +
                        `<br>${gettext('Head')}: <span class="escrow-mono">${utils.text(head)}</span>`,
                });
            },
            utils.alert,
        );
    },

    report: function () {
        let utils = PVE.escrow.Utils;
        utils.get(
            '/cluster/escrow/evidence/report',
            ({ html, name }) => utils.saveText(name, html),
            utils.alert,
        );
    },
});
