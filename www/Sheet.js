// Sheets of paper: the one with the words is made in the browser, that of a kit comes from the server. Both are printed from
// here, and never stored. The words are written with textContent, so nothing on their sheet is markup.
Ext.define('PVE.escrow.Sheet', {
    singleton: true,

    STYLE: `
@page { margin: 15mm; }
body { font: 11pt/1.4 sans-serif; color: black; background: white; }
h1 { font-size: 16pt; margin: 0 0 4mm; }
ol { columns: 2; font: 20pt/1.6 monospace; margin: 0 0 4mm; padding: 0; list-style-position: inside;
    border: 1px solid black; padding: 4mm; }
p, dl, pre { margin: 0 0 3mm; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 1mm 4mm; }
dd { margin: 0; font-family: monospace; overflow-wrap: anywhere; }
dd.by-hand { border-bottom: 1px solid black; height: 7mm; }
pre { font-size: 9pt; white-space: pre-wrap; }
img { width: 38mm; height: 38mm; float: right; margin: 0 0 4mm 6mm; image-rendering: pixelated; }
`,

    // Proxmox VE's page comes with a library for this; without it the sheet has no such picture
    picture: function (text) {
        if (typeof QRCode !== 'function') {
            return null;
        }
        let holder = document.createElement('div');
        try {
            let code = new QRCode(holder, { width: 400, height: 400, correctLevel: QRCode.CorrectLevel.M });
            code.makeCode(text);
            return holder.querySelector('canvas')?.toDataURL('image/png') ?? null;
        } catch (_err) {
            return null;
        }
    },

    // { words, check, fingerprint, storage, label, places }: the last are where the kit is
    write: function (document, sheet) {
        let add = function (parent, name, text) {
            let element = document.createElement(name);
            if (text !== undefined) {
                element.textContent = text;
            }
            parent.appendChild(element);
            return element;
        };
        let body = document.body;
        document.title = gettext('Recovery Code');
        add(document.head, 'style', this.STYLE);
        add(body, 'h1', gettext('Recovery Code of a Backup Encryption Key'));
        let list = add(body, 'ol');
        sheet.words.forEach((word) => add(list, 'li', word));
        let picture = this.picture([...sheet.words, sheet.check].join(' '));
        if (picture) {
            let image = add(body, 'img');
            image.alt = gettext('The ten words and the check characters');
            image.src = picture;
        }
        let facts = add(body, 'dl');
        for (const [name, value] of [
            [gettext('Check characters'), sheet.check],
            [gettext('Key'), sheet.fingerprint],
            [gettext('Storage'), sheet.storage],
            [gettext('Cluster'), PVE.ClusterName || Proxmox.NodeName || window.location.hostname],
            [gettext('Label'), sheet.label],
            [gettext('Date'), Ext.Date.format(new Date(), 'Y-m-d H:i')],
        ]) {
            if (value) {
                add(facts, 'dt', name);
                add(facts, 'dd', value);
            }
        }
        add(facts, 'dt', gettext('The kit is on'));
        (sheet.places ?? []).forEach((place, i) => {
            if (i) {
                add(facts, 'dt');
            }
            add(facts, 'dd', place);
        });
        if (sheet.places?.length) {
            add(facts, 'dt', gettext('and on'));
        }
        add(facts, 'dd').className = 'by-hand';
        add(
            body,
            'p',
            gettext(
                'Whoever has these words and a kit can read the backups. Keep this sheet where only the right people get at it, and away from the kit.',
            ),
        );
        add(body, 'p', gettext('To get the key back in Proxmox VE with pve-escrow:'));
        add(
            body,
            'pre',
            `${gettext('Storage')} > ${gettext('Key Escrow')} > ${gettext('Recover')}\n` +
                `pveescrow recover ${sheet.storage ?? 'STORAGE'}`,
        );
        add(body, 'p', gettext('On any other Linux machine, with the kit:'));
        add(body, 'pre', 'pve-escrow-rescue unwrap KIT --out key.enc');
        add(
            body,
            'p',
            gettext(
                'Without either: a sealed key file ("blob", it is in the kit) is a key file of proxmox-backup-client. The ten words, in order and with single blanks between them, are its passphrase:',
            ),
        );
        add(body, 'pre', 'proxmox-backup-client key change-passphrase key.enc --kdf none');
    },

    // A page that the server made. No node of it is a script that runs: the frame forbids it, and it was parsed elsewhere.
    fill: function (document, html) {
        let page = new DOMParser().parseFromString(html, 'text/html');
        document.title = page.title;
        document.replaceChild(document.importNode(page.documentElement, true), document.documentElement);
    },

    // the frame is removed once it is printed, and with the component that it belongs to
    printFrame: function (owner, write) {
        let frame = document.createElement('iframe');
        Object.assign(frame.style, { position: 'fixed', right: 0, bottom: 0, width: 0, height: 0, border: 0 });
        frame.setAttribute('aria-hidden', 'true');
        frame.setAttribute('sandbox', 'allow-same-origin allow-modals');
        document.body.appendChild(frame);
        let remove = () => frame.remove();
        owner.on('destroy', remove);
        write(frame.contentDocument);
        let print = function () {
            frame.contentWindow.addEventListener('afterprint', remove);
            frame.contentWindow.focus();
            frame.contentWindow.print();
        };
        let image = frame.contentDocument.querySelector('img');
        if (image && !image.complete) {
            image.addEventListener('load', print);
        } else {
            print();
        }
    },

    print: function (owner, sheet) {
        this.printFrame(owner, (document) => this.write(document, sheet));
    },

    // url: that of the kit
    printKit: function (owner, url) {
        let me = this;
        let utils = PVE.escrow.Utils;
        utils.get(
            `${url}?format=html`,
            ({ kit }) => owner.destroyed || me.printFrame(owner, (document) => me.fill(document, kit)),
            utils.alert,
        );
    },
});
