// One word of a recovery code: completed from the word list while it is typed.
Ext.define('PVE.escrow.WordField', {
    extend: 'Ext.form.field.ComboBox',
    xtype: 'pveEscrowWord',

    queryMode: 'local',
    valueField: 'word',
    displayField: 'word',
    minChars: 2,
    queryDelay: 0,
    hideTrigger: true,
    autoSelect: true,
    selectOnTab: true,
    enableKeyEvents: true,
    msgTarget: 'qtip',
    labelWidth: 24,
    labelSeparator: '.',
    labelAlign: 'right',
    inputAttrTpl: 'autocomplete="off" autocapitalize="off" autocorrect="off" spellcheck="false"',
    submitValue: false,
    stateful: false,

    initComponent: function () {
        let me = this;
        me.store = Ext.create('Ext.data.Store', { fields: ['word'], data: [] });
        me.callParent();
        me.on('beforequery', function (query) {
            let typed = PVE.escrow.Words.normalise(query.query);
            let found = typed ? PVE.escrow.Words.beginningWith(typed, 10) : [];
            me.store.loadData(found.map((word) => ({ word: word })));
            if (!found.length || found[0] === typed) {
                me.collapse();
                return false;
            }
            me.expand();
            return false;
        });
        me.on('afterrender', () => me.inputEl.dom.setAttribute('aria-autocomplete', 'list'));
    },

    // the widget toolkit opens the list of whatever gets the focus
    expand: function () {
        if (this.store.getCount()) {
            this.callParent(arguments);
        }
    },

    word: function () {
        return PVE.escrow.Words.find(PVE.escrow.Words.normalise(this.getRawValue()));
    },

    onDestroy: function () {
        let me = this;
        if (me.inputEl) {
            me.inputEl.dom.value = '';
        }
        me.callParent(arguments);
    },
});

// The ten words of a recovery code, as fields. With `expected` a mark says whether a word is the right one, without it
// whether it is one of the list.
Ext.define('PVE.escrow.CodeFields', {
    extend: 'Ext.form.FieldContainer',
    xtype: 'pveEscrowCode',

    layout: { type: 'vbox', align: 'stretch' },
    expected: null,
    // a field for the check characters too, which tell a mistyped word from a wrong code
    withCheck: false,

    // fired when a word changes: complete(this, isComplete)
    initComponent: function () {
        let me = this;
        let column = (numbers) => ({
            xtype: 'container',
            flex: 1,
            layout: { type: 'vbox', align: 'stretch' },
            items: numbers.map((number) => me.createLine(number)),
        });
        me.items = [
            {
                xtype: 'container',
                layout: { type: 'hbox', align: 'stretch' },
                items: [column([1, 2, 3, 4, 5]), column([6, 7, 8, 9, 10])],
            },
            {
                xtype: 'textfield',
                itemId: 'check',
                hidden: !me.withCheck,
                fieldLabel: gettext('Check characters'),
                labelWidth: 120,
                emptyText: gettext('if they are on the sheet'),
                inputAttrTpl: 'autocomplete="off" autocapitalize="off" spellcheck="false"',
                submitValue: false,
                maxLength: 4,
                enforceMaxLength: true,
                maxWidth: 330,
                margin: '0 0 0 8',
            },
        ];
        me.callParent();
        me.fields = me.query('pveEscrowWord');
        me.marks = me.query('[isMark]');
        me.checkField = me.down('#check');
    },

    createLine: function (number) {
        let me = this;
        return {
            xtype: 'container',
            layout: { type: 'hbox', align: 'middle' },
            margin: '0 10 6 0',
            items: [
                {
                    xtype: 'pveEscrowWord',
                    flex: 1,
                    fieldLabel: `${number}`,
                    ariaLabel: Ext.String.format(gettext('Word {0} of {1}'), number, 10),
                    number: number,
                    listeners: {
                        change: () => me.onWord(number - 1),
                        select: () => me.focusWord(number),
                        blur: (field) => me.onLeave(field),
                        keydown: (field, event) => me.onKey(field, event),
                        afterrender: (field) =>
                            field.inputEl.on('paste', (event) => me.onPaste(number - 1, event)),
                    },
                },
                {
                    xtype: 'component',
                    isMark: true,
                    width: 22,
                    margin: '0 0 0 4',
                    autoEl: { tag: 'span', role: 'status' },
                },
            ],
        };
    },

    focusWord: function (index) {
        let me = this;
        if (me.fields[index]) {
            me.fields[index].focus(true);
        } else {
            me.fireEvent('last', me);
        }
    },

    // a space ends a word, as it does on paper
    onKey: function (field, event) {
        if (event.getKey() !== event.SPACE && event.getKey() !== event.ENTER) {
            return;
        }
        if (event.getKey() === event.ENTER && field.isExpanded) {
            return;
        }
        event.stopEvent();
        this.onLeave(field);
        if (field.word()) {
            this.focusWord(field.number);
        }
    },

    // A beginning becomes the word it stands for. A field looks at what was typed a moment later, and not at all once it is left.
    onLeave: function (field) {
        field.checkChange();
        let word = field.word();
        if (word && word !== field.getRawValue()) {
            field.setValue(word);
        }
        field.collapse();
        field.store.removeAll();
    },

    onPaste: function (index, event) {
        let text = event.event.clipboardData?.getData('text') ?? '';
        let typed = PVE.escrow.Words.read(text);
        if (typed.words.length + (typed.check ? 1 : 0) < 2) {
            return;
        }
        event.stopEvent();
        this.setWords(typed.words, typed.words.length === PVE.escrow.Words.COUNT ? 0 : index);
        this.checkField.setValue(typed.check);
    },

    setWords: function (words, from) {
        let me = this;
        words.forEach((word, i) => me.fields[from + i]?.setValue(word));
        me.fields.forEach((field) => field.collapse());
        me.focusWord(Math.min(from + words.length, me.fields.length) - 1);
    },

    onWord: function (index) {
        let me = this;
        if (me.destroying || !me.fields) {
            return;
        }
        me.mark(index);
        let complete = me.fields.every((field, i) => me.isRight(i));
        me.fireEvent('complete', me, complete);
    },

    isRight: function (index) {
        let word = this.fields[index].word();
        return !!word && (!this.expected || this.expected[index] === word);
    },

    mark: function (index) {
        let me = this;
        let field = me.fields[index];
        let typed = PVE.escrow.Words.normalise(field.getRawValue());
        let mark = '';
        let why = '';
        if (me.isRight(index)) {
            mark = `<i class="fa fa-check good" aria-label="${gettext('right')}"></i>`;
        } else if (typed && (field.word() || !PVE.escrow.Words.beginningWith(typed, 1).length)) {
            why = field.word()
                ? gettext('Not the word on the sheet')
                : gettext('Not in the word list');
            mark = `<i class="fa fa-times critical" aria-label="${why}" data-qtip="${why}"></i>`;
        }
        field.setActiveError(why);
        me.marks[index].setHtml(mark);
    },

    // what the server is told
    code: function () {
        let words = this.fields.map((field) => field.word() ?? field.getRawValue());
        return [...words, this.checkField.getValue()].filter(Boolean).join(' ');
    },

    wipe: function () {
        let me = this;
        me.expected = null;
        me.checkField.setValue('');
        me.fields.forEach(function (field) {
            field.suspendEvents(false);
            field.setValue(null);
            if (field.inputEl) {
                field.inputEl.dom.value = '';
            }
            field.store.removeAll();
            field.resumeEvents();
        });
        me.marks.forEach((mark) => mark.setHtml(''));
    },
});
