// What all panels and windows share. What renders something returns HTML in which nothing is left of anybody's markup.
Ext.define('PVE.escrow.Utils', {
    singleton: true,

    LEVELS: {
        good: { icon: 'check-circle', text: gettext('OK') },
        warning: { icon: 'exclamation-triangle', text: gettext('Warning') },
        critical: { icon: 'times-circle', text: gettext('Critical') },
        notice: { icon: 'info-circle', text: gettext('Note') },
        none: { icon: 'unlock-alt', text: gettext('Not encrypted') },
    },

    // an older server does not weigh things up: it is never green
    LEVEL_OF_STATE: {
        unencrypted: 'none',
        'missing-key': 'critical',
        unusable: 'critical',
        mismatch: 'critical',
        unsealed: 'critical',
        pending: 'critical',
    },

    STATES: {
        unencrypted: gettext('Not encrypted'),
        'missing-key': gettext('Key is missing'),
        unusable: gettext('Key is unusable'),
        mismatch: gettext('Another key than configured'),
        unsealed: gettext('Not sealed'),
        pending: gettext('Code not confirmed'),
        sealed: gettext('Sealed'),
        unknown: gettext('Unknown'),
    },

    SEAL_STATES: {
        pending: gettext('Not confirmed'),
        active: gettext('Active'),
        superseded: gettext('Superseded'),
        dropped: gettext('Given up'),
    },

    text: (value) => Ext.htmlEncode(`${value ?? ''}`),

    // a tool tip is HTML inside of an attribute
    tip: (value) => Ext.htmlEncode(Ext.htmlEncode(`${value ?? ''}`)),

    format: function (text, ...values) {
        return Ext.String.format(text, ...values.map(PVE.escrow.Utils.text));
    },

    short: (fingerprint) => `${fingerprint ?? ''}`.substring(0, 23),

    fingerprint: function (value) {
        let me = PVE.escrow.Utils;
        return value
            ? `<span class="escrow-mono x-selectable" data-qtip="${me.tip(value)}">${me.text(me.short(value))}</span>`
            : '';
    },

    // seconds since 1970, or as records have it; some columns are empty
    date: function (value) {
        if (value === undefined || value === null || value === '') {
            return null;
        }
        let date = new Date(/^[0-9]+$/.test(value) ? value * 1000 : value);
        return isNaN(date) ? null : date;
    },

    time: function (value) {
        let date = PVE.escrow.Utils.date(value);
        return date ? Ext.Date.format(date, 'Y-m-d H:i:s') : '-';
    },

    day: function (value) {
        let me = PVE.escrow.Utils;
        let date = me.date(value);
        return date
            ? `<span data-qtip="${me.time(value)}">${Ext.Date.format(date, 'Y-m-d')}</span>`
            : '-';
    },

    age: function (value) {
        let date = PVE.escrow.Utils.date(value);
        if (!date) {
            return gettext('never');
        }
        let minutes = Math.max(0, Math.floor((Date.now() - date) / 60000));
        if (minutes < 1) {
            return gettext('just now');
        }
        if (minutes < 120) {
            return Ext.String.format(ngettext('{0} minute ago', '{0} minutes ago', minutes), minutes);
        }
        let hours = Math.floor(minutes / 60);
        if (hours < 48) {
            return Ext.String.format(ngettext('{0} hour ago', '{0} hours ago', hours), hours);
        }
        let days = Math.floor(hours / 24);
        return Ext.String.format(ngettext('{0} day ago', '{0} days ago', days), days);
    },

    icon: (name, cls) => `<i class="fa fa-fw fa-${name} ${cls}" aria-hidden="true"></i>`,

    level: (row) => row.level ?? PVE.escrow.Utils.LEVEL_OF_STATE[row.state] ?? 'warning',

    levelIcon: function (level) {
        let me = PVE.escrow.Utils;
        let known = me.LEVELS[level] ?? me.LEVELS.warning;
        return me.icon(known.icon, me.LEVELS[level] ? level : 'warning');
    },

    state: (state) => PVE.escrow.Utils.STATES[state] ?? PVE.escrow.Utils.text(state),

    // of a seal
    label: (label) => PVE.escrow.Utils.text(label) || `(${gettext('none')})`,

    sealState: (state) => PVE.escrow.Utils.SEAL_STATES[state] ?? PVE.escrow.Utils.text(state),

    // of a drill, a proof or a copy
    result: (result) => `${PVE.escrow.Utils.resultIcon(result)} ${PVE.escrow.Utils.text(result)}`,

    resultIcon: function (result) {
        let level = { valid: 'good', ok: 'good', warning: 'warning', unknown: 'warning' }[result];
        return PVE.escrow.Utils.levelIcon(level ?? 'critical');
    },

    storageUrl: (node, storage, path) =>
        `/nodes/${encodeURIComponent(node)}/storage/${encodeURIComponent(storage)}/escrow/${path}`,

    alert: (response) => Ext.Msg.alert(gettext('Error'), response.htmlStatus),

    request: function (options) {
        Proxmox.Utils.API2Request({ failure: PVE.escrow.Utils.alert, ...options });
    },

    get: function (url, success, failure) {
        PVE.escrow.Utils.request({
            url: url,
            method: 'GET',
            success: (response) => success(response.result.data),
            failure: failure ?? Ext.emptyFn,
        });
    },

    // the server, or the node that it asks, may have another version, or nothing of ours
    isAbsent: function (response) {
        let status = Number(response.result?.status ?? response.status);
        return (
            status === 501 ||
            status === 404 ||
            /not implemented|no such method/i.test(response.result?.message ?? response.statusText)
        );
    },

    // For showing and hiding only: the server decides. Asked once a page.
    withRights: function (callback) {
        let me = PVE.escrow.Utils;
        let storage = Ext.state.Manager.get('GuiCap')?.storage ?? {};
        let rights = { allocate: !!storage['Datastore.Allocate'] };
        if (Proxmox.UserName === 'root@pam') {
            callback({ operator: true, allocate: true });
            return;
        }
        let done = function (operators) {
            me.operators = operators;
            rights.operator = rights.allocate && operators.includes(Proxmox.UserName);
            callback(rights);
        };
        if (me.operators) {
            done(me.operators);
            return;
        }
        me.get(
            '/cluster/escrow/config',
            (config) => done(`${config?.operators ?? ''}`.split(/[\s,;]+/)),
            () => done([]),
        );
    },

    // as a command of the document: without https a page has no navigator.clipboard
    copyText: function (text) {
        let field = document.createElement('textarea');
        field.value = text;
        field.setAttribute('aria-hidden', 'true');
        Object.assign(field.style, { position: 'fixed', opacity: 0 });
        let focused = document.activeElement;
        document.body.appendChild(field);
        field.select();
        let copied = false;
        try {
            copied = document.execCommand('copy');
        } catch (_err) {
            copied = false;
        }
        field.value = '';
        field.remove();
        focused?.focus();
        if (!copied) {
            Ext.Msg.alert(
                gettext('Copy'),
                gettext('This browser does not let the page copy: nothing is in the clipboard. Select the text and copy it by hand.'),
            );
        }
    },

    copyButton: function (text) {
        let me = PVE.escrow.Utils;
        return (
            `<button type="button" class="escrow-copy escrow-plain" data-copy="${me.text(text)}"` +
            ` aria-label="${gettext('Copy')}" data-qtip="${gettext('Copy')}">` +
            `<i class="fa fa-clipboard" aria-hidden="true"></i></button>`
        );
    },

    saveText: function (name, text) {
        let link = document.createElement('a');
        link.href = URL.createObjectURL(new Blob([text], { type: 'application/octet-stream' }));
        link.download = name;
        document.body.appendChild(link);
        link.click();
        link.remove();
        Ext.defer(() => URL.revokeObjectURL(link.href), 10000);
    },

    downloadKit: function (url) {
        let me = PVE.escrow.Utils;
        me.get(url, ({ name, kit }) => me.saveText(name, kit), me.alert);
    },

    showTask: function (upid, done) {
        Ext.create('Proxmox.window.TaskViewer', { autoShow: true, upid: upid, taskDone: done });
    },
});
