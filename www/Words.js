// Reading a recovery code as people type, paste and scan it, the way the server does. PVE.escrow.Words.LIST is put
// together from the word list when the panel is built.
Ext.define('PVE.escrow.Words', {
    singleton: true,

    COUNT: 10,
    HYPHENATED: ['drop-down', 'felt-tip', 't-shirt', 'yo-yo'],

    list: function () {
        let me = PVE.escrow.Words;
        me.sorted ??= (window.pveEscrowWords ?? '').split(' ').sort();
        return me.sorted;
    },

    beginningWith: function (text, limit) {
        let words = PVE.escrow.Words.list();
        let [from, to] = [0, words.length];
        while (from < to) {
            let middle = (from + to) >> 1;
            if (words[middle] < text) {
                from = middle + 1;
            } else {
                to = middle;
            }
        }
        let found = [];
        while (found.length < limit && words[from]?.startsWith(text)) {
            found.push(words[from++]);
        }
        return found;
    },

    // the word that a text is, or stands for: four letters that no other word begins with are enough
    find: function (text) {
        let found = PVE.escrow.Words.beginningWith(text, 2);
        return found.length === 1 && (found[0] === text || text.length >= 4) ? found[0] : null;
    },

    isCheck: (text) => /^[a-z][0-9][a-z][0-9]$/.test(text),

    normalise: (text) =>
        text
            .normalize('NFKC')
            .toLowerCase()
            .replace(/\u00ad|\u200c|\u200d|\u2060|\ufeff/g, '')
            .replace(/[\u2010-\u2015\u2212]/g, '-')
            .replace(/[^\p{L}\p{N}-]+/gu, ' ')
            .trim(),

    // a text with several words: { words, check }. What is no word stays as it is, to be seen and corrected.
    read: function (text) {
        let me = PVE.escrow.Words;
        let [words, numbers, check, number] = [[], [], '', null];
        let add = function (part) {
            let letters = part.replace(/^[0-9]+/, '');
            if (me.isCheck(part) && !check) {
                check = part;
                return;
            }
            if (letters.length < part.length) {
                number = parseInt(part, 10);
            }
            if (letters) {
                words.push(me.find(letters) ?? letters);
                numbers.push(number);
                number = null;
            }
        };
        let parts = me.normalise(text).split(' ');
        for (let i = 0; i < parts.length; i++) {
            let [part, both] = [parts[i], `${parts[i]}-${parts[i + 1]}`];
            if (me.HYPHENATED.includes(both)) {
                add(both);
                i++;
            } else if (me.find(part.replace(/^[0-9]+-?/, ''))) {
                add(part);
            } else {
                part.split('-').filter(Boolean).forEach(add);
            }
        }
        return { words: me.inOrder(words, numbers), check: check };
    },

    // a sheet with two columns may have been read line by line
    inOrder: function (words, numbers) {
        let places = words.map((_, i) => numbers.indexOf(i + 1));
        return words.length === PVE.escrow.Words.COUNT && !places.includes(-1)
            ? places.map((place) => words[place])
            : words;
    },
});
