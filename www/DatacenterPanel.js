// Datacenter -> Key Escrow: all storages, keys and nodes of the cluster, the settings, and what happened.
Ext.define('PVE.escrow.DatacenterPanel', {
    extend: 'Ext.panel.Panel',
    xtype: 'pveEscrowDatacenter',

    layout: 'fit',

    initComponent: function () {
        let me = this;
        me.summary = Ext.create('Ext.Component', {
            dock: 'top',
            padding: 8,
            itemId: 'summary',
            autoEl: { tag: 'div', role: 'status', 'aria-live': 'polite' },
        });
        me.dockedItems = [me.summary];
        me.storages = Ext.create('PVE.escrow.StorageList', {
            listeners: { loaded: (list, rows) => me.sumUp(rows) },
        });
        me.tabs = Ext.create('Ext.tab.Panel', {
            border: false,
            items: [me.storages, { xtype: 'pveEscrowNodes' }, { xtype: 'pveEscrowSettings' }],
            listeners: { afterrender: (tabs) => tabs.getActiveTab().fireEvent('activate') },
        });
        me.items = [me.tabs];
        me.callParent();
        me.on('activate', () => me.storages.load());
        PVE.escrow.Utils.withRights(function ({ operator }) {
            if (operator && !me.destroyed) {
                me.tabs.insert(1, { xtype: 'pveEscrowKeys' });
                me.tabs.insert(3, { xtype: 'pveEscrowEvidence' });
            }
        });
    },

    sumUp: function (rows) {
        let me = this;
        let utils = PVE.escrow.Utils;
        if (!rows) {
            me.summary.setHtml(
                `${utils.levelIcon('warning')} ${gettext('The state of the storages is not known.')}`,
            );
            return;
        }
        let count = (level) => rows.filter((row) => utils.level(row) === level).length;
        let encrypted = rows.length - count('none');
        let part = (level, text) => `${utils.levelIcon(level)} ${Ext.String.format(text, count(level))}`;
        me.summary.setHtml(
            `<b>${Ext.String.format(ngettext('{0} storage with encrypted backups', '{0} storages with encrypted backups', encrypted), encrypted)}</b>` +
                ` &nbsp; ${part('good', gettext('{0} survive the loss of this cluster'))}` +
                ` &nbsp; ${part('warning', gettext('{0} with warnings'))}` +
                ` &nbsp; ${part('critical', gettext('{0} in danger'))}` +
                ` &nbsp; ${part('none', gettext('{0} not encrypted'))}`,
        );
    },
});
