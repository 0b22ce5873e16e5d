// What is set for the whole cluster.
Ext.define('PVE.escrow.SettingsPanel', {
    extend: 'PVE.escrow.ListPanel',
    xtype: 'pveEscrowSettings',

    title: gettext('Settings'),
    path: '/config',
    fields: ['name', 'value'],
    hideHeaders: true,

    // those that an older server does not have are not offered
    SETTINGS: {
        enabled: { text: gettext('Enabled'), field: { xtype: 'checkbox', inputValue: 1, uncheckedValue: 0 } },
        operators: { text: gettext('Operators'), field: { xtype: 'textfield', emptyText: 'user@pam, user@pve' } },
        copies: {
            text: gettext('Storages for copies'),
            field: { xtype: 'textfield', emptyText: gettext('storage IDs, separated by commas') },
            since: 'copy-days',
        },
        publish: {
            text: gettext('Storages whose servers keep kits'),
            field: { xtype: 'textfield', emptyText: gettext('storage IDs, separated by commas') },
            since: 'copy-days',
        },
        'copy-days': { text: gettext('Warn of copies older than (days)'), field: { xtype: 'numberfield', minValue: 1 } },
        'proof-days': { text: gettext('Warn of a proof older than (days)'), field: { xtype: 'numberfield', minValue: 1 } },
        'drill-days': { text: gettext('Warn of a drill older than (days)'), field: { xtype: 'numberfield', minValue: 1 } },
        acknowledged: {
            text: gettext('Foreign keys, acknowledged'),
            field: { xtype: 'textfield', emptyText: gettext('fingerprints, separated by commas') },
            since: 'copy-days',
        },
    },

    initComponent: function () {
        let me = this;
        let utils = PVE.escrow.Utils;
        me.editButton = Ext.create('Ext.button.Button', {
            text: gettext('Edit'),
            itemId: 'edit',
            iconCls: 'fa fa-pencil',
            hidden: Proxmox.UserName !== 'root@pam',
            disabled: true,
            handler: () => me.edit(),
        });
        me.tbar = [
            me.editButton,
            '->',
            { text: gettext('Reload'), iconCls: 'fa fa-refresh', handler: () => me.load() },
        ];
        me.columns = [
            { dataIndex: 'name', flex: 1, renderer: utils.text },
            { dataIndex: 'value', flex: 2, renderer: utils.text },
        ];
        me.callParent();
        me.on('itemdblclick', () => me.editButton.hidden || me.edit());
    },

    known: function (config) {
        return Object.entries(this.SETTINGS).filter(
            ([name, { since }]) =>
                config[name] !== undefined || config[since] !== undefined || name === 'operators',
        );
    },

    asText: (value) => (Array.isArray(value) ? value.join(', ') : `${value ?? ''}`),

    load: function () {
        let me = this;
        PVE.escrow.Utils.get(
            '/cluster/escrow/config',
            function (config) {
                if (!me.destroyed) {
                    me.config = config;
                    me.editButton.enable();
                    me.store.loadData(
                        me.known(config).map(([name, { text, field }]) => ({
                            name: text,
                            value:
                                field.xtype === 'checkbox'
                                    ? Proxmox.Utils.format_boolean(Number(config[name]))
                                    : me.asText(config[name]) || `(${gettext('none')})`,
                        })),
                    );
                }
            },
            (response) => me.destroyed || me.showFailure(response),
        );
    },

    showFailure: function (response) {
        let view = this.getView();
        view.emptyText = `<div class="x-grid-empty">${response.htmlStatus}</div>`;
        view.refresh();
    },

    edit: function () {
        let me = this;
        let items = me.known(me.config).map(([name, { text, field }]) => ({
            ...field,
            name: name,
            fieldLabel: text,
            allowDecimals: false,
            value: field.xtype === 'checkbox' ? !!Number(me.config[name]) : me.asText(me.config[name]),
        }));
        let win = Ext.create('Ext.window.Window', {
            title: `${gettext('Edit')}: ${gettext('Settings')}`,
            itemId: 'settings-window',
            modal: true,
            resizable: false,
            width: 520,
            items: [
                {
                    xtype: 'form',
                    border: false,
                    bodyPadding: 12,
                    fieldDefaults: { labelWidth: 220, anchor: '100%' },
                    items: items,
                },
            ],
            buttons: ['->', { text: gettext('OK'), itemId: 'ok', handler: () => me.save(win) }],
            defaultFocus: 'textfield',
        });
        win.show();
    },

    save: function (win) {
        let me = this;
        let form = win.down('form').getForm();
        if (!form.isValid()) {
            return;
        }
        let [params, gone] = [{}, []];
        for (const [name, value] of Object.entries(form.getValues())) {
            if (`${value}`.trim() === '') {
                gone.push(name);
            } else {
                params[name] = value;
            }
        }
        if (gone.length) {
            params.delete = gone.join(',');
        }
        PVE.escrow.Utils.request({
            url: '/cluster/escrow/config',
            method: 'PUT',
            params: params,
            waitMsgTarget: win,
            success: function () {
                win.close();
                me.load();
            },
        });
    },
});
