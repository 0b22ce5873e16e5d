// The sheet of paper with the words: made in the browser, printed from there, never stored. It is written with
// textContent, so nothing on it is markup.
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

    // { words, check, fingerprint, storage, label }
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

    // the frame is removed once it is printed, and with the window that it belongs to
    print: function (owner, sheet) {
        let frame = document.createElement('iframe');
        Object.assign(frame.style, { position: 'fixed', right: 0, bottom: 0, width: 0, height: 0, border: 0 });
        frame.setAttribute('aria-hidden', 'true');
        document.body.appendChild(frame);
        let remove = () => frame.remove();
        owner.on('destroy', remove);
        this.write(frame.contentDocument, sheet);
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
});
