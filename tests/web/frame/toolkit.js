// Stand-ins for what the panel uses of Proxmox' widget toolkit: the same names, written for these tests.
Ext.define('Proxmox.Utils', {
    singleton: true,

    tasks: {},

    override_task_descriptions: (more) => Object.assign(Proxmox.Utils.tasks, more),

    format_boolean: (value) => (value ? gettext('Yes') : gettext('No')),

    format_size: function (size) {
        let units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
        let unit = 0;
        while (size >= 1024 && unit < units.length - 1) {
            size /= 1024;
            unit++;
        }
        return `${unit ? size.toFixed(2) : size} ${units[unit]}`;
    },

    failure: function (response) {
        let { message, status, errors } = response.result;
        let text = message
            ? `${Ext.htmlEncode(message)}${status ? ` (${status})` : ''}`
            : `${gettext('Connection error')} ${response.status}: ${Ext.htmlEncode(response.statusText)}`;
        for (const [name, why] of Object.entries(errors ?? {})) {
            text += `<br><b>${Ext.htmlEncode(name)}</b>: ${Ext.htmlEncode(why)}`;
        }
        return text;
    },

    API2Request: function (options) {
        let target = options.waitMsgTarget;
        let finish = function (response) {
            if (target && !target.destroyed) {
                target.setLoading(false);
            }
            response.result = Ext.decode(response.responseText, true) ?? {};
            if (response.result.success) {
                Ext.callback(options.callback, null, [options, true, response]);
                Ext.callback(options.success, null, [response, options]);
                return;
            }
            response.htmlStatus = Proxmox.Utils.failure(response);
            Ext.callback(options.callback, null, [options, false, response]);
            Ext.callback(options.failure, null, [response, options]);
        };
        target?.setLoading(gettext('Please wait...'));
        Ext.Ajax.request({
            ...options,
            url: `/api2/extjs${options.url}`,
            callback: Ext.emptyFn,
            success: finish,
            failure: finish,
        });
    },
});

Ext.define('Proxmox.button.StdRemoveButton', {
    extend: 'Ext.button.Button',
    xtype: 'proxmoxStdRemoveButton',

    text: gettext('Remove'),
    disabled: true,

    confirmMsg: function (row) {
        return `Are you sure you want to remove entry '${Ext.htmlEncode(row.getId())}'`;
    },

    handler: function () {
        let me = this;
        let row = me.selModel.getSelection()[0];
        Ext.Msg.confirm(gettext('Confirm'), me.confirmMsg(row), function (button) {
            if (button === 'yes') {
                Proxmox.Utils.API2Request({
                    url: `${me.baseurl}/${row.getId()}`,
                    method: 'DELETE',
                    success: me.callback,
                    failure: (response) => Ext.Msg.alert(gettext('Error'), response.htmlStatus),
                });
            }
        });
    },
});

Ext.define('Proxmox.window.TaskViewer', {
    extend: 'Ext.window.Window',

    modal: true,
    width: 800,
    height: 400,
    bodyPadding: 10,
    scrollable: true,
    taskDone: Ext.emptyFn,

    initComponent: function () {
        let me = this;
        let [, node, , , , type, id] = me.upid.split(':');
        let url = `/nodes/${node}/tasks/${encodeURIComponent(me.upid)}`;
        me.title = Ext.htmlEncode(`Task viewer: ${[type, id].join(' ')}`);
        me.items = [{ xtype: 'component', itemId: 'log', style: 'white-space: pre; font-family: monospace' }];
        me.callParent();
        Proxmox.Utils.API2Request({
            url: `${url}/log`,
            method: 'GET',
            success: ({ result }) =>
                me.down('#log').setHtml(result.data.map(({ t }) => Ext.htmlEncode(t)).join('\n')),
        });
        Proxmox.Utils.API2Request({
            url: `${url}/status`,
            method: 'GET',
            success: ({ result }) => me.taskDone(result.data.exitstatus === 'OK'),
        });
    },
});
