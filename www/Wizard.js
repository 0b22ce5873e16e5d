// A window of a few steps, as Proxmox VE's own wizards look. A step is a panel with a title; it may have
// isReady(), which says whether one may go on, nextText, onNext(go), which calls go() when it is done, onEnter() and
// onLeave().
Ext.define('PVE.escrow.Wizard', {
    extend: 'Ext.window.Window',

    modal: true,
    resizable: false,
    width: 760,
    height: 480,
    layout: 'fit',
    steps: [],
    // asked before it is closed, unless nothing would be lost: { title, text }
    onCloseAsk: () => null,

    initComponent: function () {
        let me = this;
        let steps = me.steps.map((step, i) => ({
            bodyPadding: 12,
            border: false,
            disabled: i > 0,
            ...step,
        }));
        me.tabs = Ext.create('Ext.tab.Panel', {
            items: steps,
            activeTab: 0,
            plain: true,
            border: false,
            listeners: {
                tabchange: function (tabs, step, previous) {
                    previous?.onLeave?.();
                    me.onStep();
                },
            },
        });
        me.items = [me.tabs];
        me.back = Ext.create('Ext.button.Button', {
            text: gettext('Back'),
            itemId: 'back',
            disabled: true,
            handler: () => me.go(-1),
        });
        me.next = Ext.create('Ext.button.Button', {
            text: gettext('Next'),
            itemId: 'next',
            handler: () => me.onNext(),
        });
        me.buttons = ['->', me.back, me.next];
        me.callParent();
        me.on('beforeclose', me.mayClose, me);
        me.on('show', () => me.onStep());
    },

    step: function () {
        return this.tabs.getActiveTab();
    },

    index: function () {
        return this.tabs.items.indexOf(this.step());
    },

    go: function (by) {
        let me = this;
        let step = me.tabs.items.getAt(me.index() + by);
        if (step) {
            step.setDisabled(false);
            me.tabs.setActiveTab(step);
        }
    },

    onNext: function () {
        let me = this;
        let step = me.step();
        let done = () => (me.isLast() ? me.close() : me.go(1));
        if (step.onNext) {
            step.onNext(done);
        } else {
            done();
        }
    },

    isLast: function () {
        return this.index() === this.tabs.items.getCount() - 1;
    },

    // steps behind this one are reached with the buttons only: they have something to do first
    onStep: function () {
        let me = this;
        let index = me.index();
        me.tabs.items.each((step, i) => step.setDisabled(i > index || (me.noWayBack && i < index)));
        me.updateButtons();
        let step = me.step();
        step.onEnter?.();
        let first = step.down('field:focusable[disabled=false][hidden=false]');
        (first ?? me.next).focus();
    },

    updateButtons: function () {
        let me = this;
        let step = me.step();
        me.back.setDisabled(me.index() === 0 || !!me.noWayBack);
        me.next.setText(step.nextText ?? (me.isLast() ? gettext('Finish') : gettext('Next')));
        me.next.setDisabled(step.isReady ? !step.isReady() : false);
    },

    mayClose: function () {
        let me = this;
        let ask = me.sure ? null : me.onCloseAsk();
        if (!ask) {
            return true;
        }
        Ext.Msg.show({
            title: ask.title,
            message: ask.text,
            icon: Ext.Msg.WARNING,
            buttons: Ext.Msg.YESNO,
            buttonText: ask.buttons,
            defaultFocus: 'no',
            callback: function (button) {
                if (button === 'yes') {
                    me.sure = true;
                    me.close();
                }
            },
        });
        return false;
    },
});
