// Where the panels come into Proxmox VE's own classes. Whatever goes wrong in here, what these do by themselves goes on:
// each hook, and each listener that it leaves behind, is a guest in somebody else's house.
Ext.define('PVE.escrow.Hooks', {
    singleton: true,

    attempt: function (what, code) {
        try {
            code();
        } catch (err) {
            console.error(`pve-escrow: ${what}:`, err);
        }
    },

    has: (name) => !!Ext.ClassManager.get(name),

    // overrides what is there; another version of the GUI may not have it
    into: function (name, members) {
        PVE.escrow.Hooks.attempt(name, function () {
            if (PVE.escrow.Hooks.has(name)) {
                Ext.define(`PVE.escrow.override.${name}`, { override: name, ...members });
            }
        });
    },

    storageTab: {
        xtype: 'pveEscrowStorage',
        itemId: 'escrow',
        title: gettext('Key Escrow'),
        iconCls: 'fa fa-key',
    },

    // the tree of resources is where a storage is gone to; where there is none, a window does
    goTo: function (storage) {
        let open = () =>
            Ext.create('PVE.escrow.StorageWindow', {
                autoShow: true,
                node: Proxmox.NodeName,
                storage: storage,
            });
        try {
            let store = PVE.data.ResourceStore;
            let rows = [];
            store.each(function ({ data }) {
                if (data.type === 'storage' && data.storage === storage) {
                    rows.push(data);
                }
            });
            let row = rows.find(({ node }) => node === Proxmox.NodeName) ?? rows[0];
            let workspace = Ext.ComponentQuery.query('pveStdWorkspace')[0];
            if (!row || !workspace?.selectById) {
                open();
                return;
            }
            Ext.state.Manager.getProvider().set('storagetab', { value: 'escrow' });
            workspace.selectById(row.id);
        } catch (_err) {
            open();
        }
    },

    // storage => its row of the cluster's list
    loadStates: function (callback) {
        PVE.escrow.Utils.get('/cluster/escrow', function (rows) {
            callback(Object.fromEntries(rows.map((row) => [row.storage, row])));
        });
    },

    removalText: function (row) {
        let utils = PVE.escrow.Utils;
        if (!row?.live) {
            return '';
        }
        let key = utils.fingerprint(row.live);
        let sealed =
            row.seals > 0
                ? gettext('The key {0} of its backups is sealed: a recovery code opens it.')
                : gettext('<b>The key {0} of its backups is not sealed: no recovery code opens it.</b>');
        return (
            Ext.String.format(sealed, key) +
            '<br>' +
            gettext(
                'The key is kept in /etc/pve/priv/escrow/kept, whatever happens here. Only Forget (Datacenter > Key Escrow > Keys), or "pveescrow forget", destroys it.',
            )
        );
    },
});

PVE.escrow.Hooks.into('PVE.storage.Browser', {
    insertNodes: function (items) {
        let me = this;
        PVE.escrow.Hooks.attempt('storage tab', function () {
            if (me.pveSelNode.data.plugintype === 'pbs' && Array.isArray(items)) {
                let at = items.findIndex(({ itemId }) => itemId === 'permissions');
                items.splice(at < 0 ? items.length : at, 0, { ...PVE.escrow.Hooks.storageTab });
            }
        });
        return me.callParent(arguments);
    },
});

PVE.escrow.Hooks.into('PVE.dc.Config', {
    insertNodes: function (items) {
        let me = this;
        PVE.escrow.Hooks.attempt('datacenter tab', function () {
            let caps = Ext.state.Manager.get('GuiCap')?.storage ?? {};
            if (Array.isArray(items) && (caps['Datastore.Audit'] || caps['Datastore.Allocate'])) {
                let at = items.findIndex(({ itemId }) => itemId === 'storage');
                items.splice(at < 0 ? items.length : at + 1, 0, {
                    xtype: 'pveEscrowDatacenter',
                    itemId: 'escrow',
                    title: gettext('Key Escrow'),
                    iconCls: 'fa fa-key',
                });
            }
        });
        return me.callParent(arguments);
    },
});

PVE.escrow.Hooks.into('PVE.dc.StorageView', {
    initComponent: function () {
        let me = this;
        let result = me.callParent(arguments);
        PVE.escrow.Hooks.attempt('list of storages', function () {
            let states = {};
            let button = Ext.create('Ext.button.Button', {
                text: gettext('Key Escrow'),
                itemId: 'escrow',
                iconCls: 'fa fa-key',
                disabled: true,
                handler: () =>
                    Ext.create('PVE.escrow.StorageWindow', {
                        autoShow: true,
                        node: Proxmox.NodeName,
                        storage: me.getSelection()[0].data.storage,
                    }),
            });
            me.down('toolbar[dock=top]').add(button);
            me.on('selectionchange', (model, rows) => button.setDisabled(rows?.[0]?.data.type !== 'pbs'));
            let update = () =>
                PVE.escrow.Hooks.attempt('states', () =>
                    PVE.escrow.Hooks.loadStates((loaded) => (states = loaded)),
                );
            me.on('activate', update);
            me.on('afterrender', update);
            let remove = me.down('proxmoxStdRemoveButton');
            if (remove && Ext.isFunction(remove.confirmMsg)) {
                let original = remove.confirmMsg;
                remove.confirmMsg = function (row) {
                    let text = original.apply(this, arguments);
                    let more = '';
                    PVE.escrow.Hooks.attempt('question', function () {
                        more = PVE.escrow.Hooks.removalText(states[row.data.storage]);
                    });
                    return more ? `${text}<br><br>${more}` : text;
                };
            }
        });
        return result;
    },
});

// "Save your encryption key": the best moment to seal it
PVE.escrow.Hooks.into('PVE.Storage.PBSKeyShow', {
    initComponent: function () {
        let me = this;
        let result = me.callParent(arguments);
        PVE.escrow.Hooks.attempt('new key', function () {
            let url = (path) => PVE.escrow.Utils.storageUrl(Proxmox.NodeName, me.sid, path);
            let open = function () {
                let fingerprint = Ext.decode(me.key, true)?.fingerprint;
                Ext.create('PVE.escrow.CreateWindow', {
                    autoShow: true,
                    key: { storage: me.sid, fingerprint: fingerprint },
                    urls: { create: url('create'), confirm: url('confirm'), kit: url('kit') },
                });
            };
            let line = me.down('form').add({
                xtype: 'container',
                itemId: 'escrow',
                hidden: true,
                layout: 'hbox',
                items: [
                    {
                        xtype: 'component',
                        flex: 1,
                        html: gettext('Or let ten words on paper bring it back, and copies be made that nobody can read:'),
                    },
                    {
                        xtype: 'button',
                        text: gettext('Seal with a Recovery Code'),
                        iconCls: 'fa fa-key x-btn-icon-el-default-toolbar-small',
                        cls: 'x-btn-default-toolbar-small proxmox-inline-button',
                        handler: open,
                    },
                ],
            });
            PVE.escrow.Utils.withRights(({ operator }) => me.destroyed || line.setHidden(!operator));
        });
        return result;
    },
});

// Storage -> Edit -> Encryption: below the stock warning, what is sealed and what is kept
PVE.escrow.Hooks.into('PVE.panel.PBSEncryptionKeyTab', {
    setValues: function (values) {
        let me = this;
        let result = me.callParent(arguments);
        PVE.escrow.Hooks.attempt('removal of a key', function () {
            let storage = values?.storage ?? me.up('window')?.storageId;
            if (!storage) {
                return;
            }
            let hint = me.add({
                xtype: 'component',
                padding: '5 2',
                hidden: true,
                bind: { hidden: '{!showDangerousHint}' },
            });
            PVE.escrow.Hooks.loadStates(
                (states) => me.destroyed || hint.setHtml(PVE.escrow.Hooks.removalText(states[storage])),
            );
        });
        return result;
    },
});

PVE.escrow.Hooks.attempt('names of tasks', function () {
    Proxmox.Utils.override_task_descriptions({
        escrowcoverage: [gettext('Storage'), gettext('Key coverage')],
        escrowprove: [gettext('Storage'), gettext('Key proof')],
    });
});
