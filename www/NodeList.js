// Which nodes have a guard.
Ext.define('PVE.escrow.NodeList', {
    extend: 'PVE.escrow.ListPanel',
    xtype: 'pveEscrowNodes',

    title: gettext('Nodes'),
    path: '/nodes',
    emptyText: gettext('No node has reported yet.'),
    fields: ['node', 'result', 'text'],
    sorters: { property: 'node', direction: 'ASC' },

    initComponent: function () {
        let me = this;
        let utils = PVE.escrow.Utils;
        me.tbar = [
            { xtype: 'tbtext', text: gettext('Is the guard armed, which keeps a key before anything removes it?') },
            '->',
            { text: gettext('Reload'), iconCls: 'fa fa-refresh', handler: () => me.load() },
        ];
        me.columns = [
            { text: gettext('Node'), dataIndex: 'node', flex: 1, renderer: utils.text },
            { text: gettext('Guard'), dataIndex: 'result', flex: 1, renderer: utils.result },
            { text: gettext('Details'), dataIndex: 'text', flex: 4, renderer: utils.text },
        ];
        me.callParent();
    },
});
