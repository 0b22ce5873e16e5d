// A page as Proxmox VE's is arranged, with the same classes where the panel comes in; written for these tests.
Ext.state.Manager.setProvider(Ext.create('Ext.state.Provider'));

Ext.define('PVE.data.ResourceStore', {
    extend: 'Ext.data.Store',
    singleton: true,
    fields: ['id', 'type', 'node', 'storage', 'plugintype', 'content'],
});

Ext.define('pve-storage', { extend: 'Ext.data.Model', fields: ['storage', 'type', 'content'], idProperty: 'storage' });

// tabs to the left, of which only the one that is shown exists
Ext.define('PVE.panel.Config', {
    extend: 'Ext.panel.Panel',

    layout: 'card',

    initComponent: function () {
        let me = this;
        me.savedItems = {};
        me.nodes = [];
        me.insertNodes(me.items);
        me.items = [];
        me.dockedItems = [
            { xtype: 'toolbar', dock: 'top', height: 36, items: [{ xtype: 'tbtext', text: Ext.htmlEncode(me.title) }] },
            {
                xtype: 'panel',
                dock: 'left',
                width: 170,
                border: true,
                items: [
                    {
                        xtype: 'treelist',
                        itemId: 'menu',
                        store: { root: { expanded: true, children: me.nodes } },
                        listeners: { selectionchange: (list, node) => node && me.activateCard(node.id) },
                    },
                ],
            },
        ];
        delete me.title;
        me.callParent();
        let wanted = Ext.state.Manager.get(me.hstateid)?.value;
        let menu = me.down('#menu');
        let root = menu.getStore().getRoot();
        menu.setSelection(root.findChild('id', wanted) ?? root.firstChild);
    },

    insertNodes: function (items) {
        for (const item of items) {
            if (this.savedItems[item.itemId]) {
                throw 'itemId already exists, please use another';
            }
            item.header = false;
            this.savedItems[item.itemId] = item;
            this.nodes.push({ id: item.itemId, text: item.title, iconCls: item.iconCls, leaf: true });
        }
    },

    activateCard: function (id) {
        let me = this;
        let old = me.getLayout().getActiveItem();
        let card = me.add({ ...me.savedItems[id], pveSelNode: me.pveSelNode, border: false });
        me.setActiveItem(card);
        if (old) {
            me.remove(old, true);
        }
        Ext.state.Manager.set(me.hstateid, { value: id });
    },
});

Ext.define('PVE.storage.Browser', {
    extend: 'PVE.panel.Config',

    hstateid: 'storagetab',

    initComponent: function () {
        let me = this;
        me.title = `Storage '${me.pveSelNode.data.storage}' on node '${me.pveSelNode.data.node}'`;
        let stock = (itemId, title, icon) => ({ itemId, title, iconCls: `fa fa-${icon}`, xtype: 'panel', html: title });
        me.items = [
            stock('summary', gettext('Summary'), 'book'),
            stock('contentBackup', gettext('Backups'), 'floppy-o'),
            stock('permissions', gettext('Permissions'), 'unlock'),
        ];
        me.callParent();
    },
});

Ext.define('PVE.dc.StorageView', {
    extend: 'Ext.grid.Panel',
    xtype: 'pveStorageView',

    initComponent: function () {
        let me = this;
        me.store = Ext.create('Ext.data.Store', {
            model: 'pve-storage',
            proxy: { type: 'ajax', url: '/api2/json/storage', reader: { type: 'json', rootProperty: 'data' } },
            sorters: 'storage',
        });
        me.selModel = Ext.create('Ext.selection.RowModel', {});
        let remove = Ext.create('Proxmox.button.StdRemoveButton', {
            selModel: me.selModel,
            baseurl: '/storage',
            callback: () => me.store.load(),
        });
        me.tbar = [{ text: gettext('Add'), handler: () => PVE.addStorage(me.store) }, remove];
        me.columns = [
            { text: 'ID', dataIndex: 'storage', flex: 1, renderer: Ext.htmlEncode },
            { text: gettext('Type'), dataIndex: 'type', flex: 1, renderer: Ext.htmlEncode },
            { text: gettext('Content'), dataIndex: 'content', flex: 2, renderer: Ext.htmlEncode },
        ];
        me.callParent();
        me.on('selectionchange', (model, rows) => remove.setDisabled(!rows.length));
        me.store.load();
    },
});

// adds a storage with a new key
PVE.addStorage = (store) =>
    Ext.Msg.prompt(gettext('Add'), 'ID', (button, id) =>
        button === 'ok'
            ? Proxmox.Utils.API2Request({
                  url: '/storage',
                  method: 'POST',
                  params: { storage: id, type: 'pbs', server: '192.0.2.1', datastore: 'store', 'encryption-key': 'autogen' },
                  success: function ({ result }) {
                      store.load();
                      let { storage, config } = result.data;
                      Ext.create('PVE.Storage.PBSKeyShow', { autoShow: true, sid: storage, key: config['encryption-key'] });
                  },
                  failure: (response) => Ext.Msg.alert(gettext('Error'), response.htmlStatus),
              })
            : null,
    );

Ext.define('PVE.Storage.PBSKeyShow', {
    extend: 'Ext.window.Window',

    width: 600,
    modal: true,
    title: gettext('Important: Save your Encryption Key'),

    initComponent: function () {
        let me = this;
        me.items = [
            {
                xtype: 'form',
                layout: { type: 'vbox', align: 'stretch' },
                bodyPadding: 10,
                border: false,
                items: [
                    { xtype: 'textfield', fieldLabel: gettext('Key'), value: me.key, editable: false },
                    { xtype: 'component', html: gettext('Keep your encryption key safe.') },
                ],
            },
        ];
        me.callParent();
    },
});

Ext.define('PVE.dc.Config', {
    extend: 'PVE.panel.Config',

    hstateid: 'dctab',
    title: gettext('Datacenter'),

    initComponent: function () {
        let me = this;
        me.items = [
            { itemId: 'summary', title: gettext('Summary'), iconCls: 'fa fa-book', xtype: 'panel', html: 'Summary' },
            { itemId: 'storage', title: gettext('Storage'), iconCls: 'fa fa-database', xtype: 'pveStorageView' },
            { itemId: 'permissions', title: gettext('Permissions'), iconCls: 'fa fa-unlock', xtype: 'panel', html: '' },
        ];
        me.callParent();
    },
});

Ext.define('PVE.StdWorkspace', {
    extend: 'Ext.container.Viewport',
    xtype: 'pveStdWorkspace',

    layout: 'border',

    initComponent: function () {
        let me = this;
        let isOperator = ['root@pam', 'operator@pve'].includes(Proxmox.UserName);
        Ext.state.Manager.set('GuiCap', {
            storage: { 'Datastore.Audit': 1, ...(isOperator ? { 'Datastore.Allocate': 1 } : {}) },
        });
        me.tree = Ext.create('Ext.tree.Panel', {
            region: 'west',
            width: 220,
            split: true,
            rootVisible: false,
            store: { root: { expanded: true, children: [] } },
            listeners: { selectionchange: (model, [node]) => node && me.showNode(node) },
        });
        me.content = Ext.create('Ext.container.Container', { region: 'center', layout: 'fit' });
        me.items = [
            {
                region: 'north',
                xtype: 'component',
                cls: 'frame-header',
                padding: '8 10',
                html: `A page like Proxmox VE's <span>${Ext.htmlEncode(Proxmox.UserName)}</span>`,
            },
            me.tree,
            me.content,
            { region: 'south', xtype: 'panel', title: gettext('Tasks'), height: 140, collapsible: true, split: true },
        ];
        me.callParent();
        Ext.Ajax.request({
            url: '/api2/json/cluster/resources',
            success: (response) => me.fill(Ext.decode(response.responseText).data),
        });
    },

    fill: function (rows) {
        let me = this;
        PVE.data.ResourceStore.loadData(rows);
        let storages = rows.filter(({ type }) => type === 'storage');
        me.tree.getStore().getRoot().appendChild({
            id: 'root',
            text: gettext('Datacenter'),
            iconCls: 'fa fa-server',
            expanded: true,
            children: storages.map((row) => ({
                id: row.id,
                text: Ext.htmlEncode(row.storage),
                iconCls: 'fa fa-database',
                leaf: true,
                row: row,
            })),
        });
        me.selectById('root');
    },

    selectById: function (id) {
        this.tree.getSelectionModel().select(this.tree.getStore().getNodeById(id));
    },

    showNode: function (node) {
        let me = this;
        me.content.removeAll();
        me.content.add(
            node.id === 'root'
                ? Ext.create('PVE.dc.Config', { pveSelNode: node })
                : Ext.create('PVE.storage.Browser', { pveSelNode: { data: node.data.row } }),
        );
    },
});
