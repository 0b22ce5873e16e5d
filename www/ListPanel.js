// A list of what is below /cluster/escrow, for Datacenter -> Key Escrow.
Ext.define('PVE.escrow.ListPanel', {
    extend: 'Ext.grid.Panel',

    border: false,
    // a path below /cluster/escrow
    path: '',
    // where the server has no such path
    absentText: gettext('The server does not have this yet: update pve-escrow on this node.'),

    initComponent: function () {
        let me = this;
        me.store = Ext.create('Ext.data.Store', { fields: me.fields, sorters: me.sorters, data: [] });
        me.viewConfig = { deferEmptyText: false, emptyText: me.emptyText };
        me.callParent();
        me.on('activate', () => me.load());
    },

    load: function () {
        let me = this;
        PVE.escrow.Utils.get(
            `/cluster/escrow${me.path}`,
            (rows) => me.destroyed || me.showRows(rows),
            function (response) {
                if (!me.destroyed) {
                    let text = PVE.escrow.Utils.isAbsent(response) ? me.absentText : response.htmlStatus;
                    me.getView().emptyText = `<div class="x-grid-empty">${text}</div>`;
                    me.store.removeAll();
                    me.getView().refresh();
                    me.fireEvent('loaded', me, null);
                }
            },
        );
    },

    showRows: function (rows) {
        this.store.loadData(rows);
        this.fireEvent('loaded', this, rows);
    },

    // a field that filters the rows by any of their texts
    createFilter: function () {
        let me = this;
        return {
            xtype: 'textfield',
            itemId: 'filter',
            emptyText: gettext('Filter'),
            ariaLabel: gettext('Filter'),
            submitValue: false,
            width: 180,
            listeners: {
                change: {
                    buffer: 200,
                    fn: function (field, value) {
                        let wanted = `${value}`.toLowerCase();
                        me.store.clearFilter();
                        if (wanted) {
                            me.store.filterBy((row) => me.searched(row.data).toLowerCase().includes(wanted));
                        }
                    },
                },
            },
        };
    },

    searched: (data) => Object.values(data).filter((value) => typeof value === 'string').join('\n'),
});
