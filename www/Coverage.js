// Which snapshots need which key, as bars. The bars say in words too what their colour means.
Ext.define('PVE.escrow.Coverage', {
    extend: 'Ext.Component',
    xtype: 'pveEscrowCoverage',

    MAX_KEYS: 5,

    STATES: {
        missing: { cls: 'critical', order: 0, text: gettext('missing') },
        live: { cls: 'warning', order: 1, text: gettext('not sealed') },
        kept: { cls: 'warning', order: 2, text: gettext('kept, not sealed') },
        acknowledged: { cls: 'faded', order: 3, text: gettext('elsewhere, acknowledged') },
        sealed: { cls: 'good', order: 4, text: gettext('sealed') },
    },

    UNKNOWN: { cls: 'warning', order: 1 },

    setCoverage: function (coverage) {
        let me = this;
        me.setHtml(
            coverage?.time
                ? me.bars(coverage)
                : gettext(
                      'Which keys the snapshots on the backup server need is not known yet: nobody has asked it yet.',
                  ),
        );
    },

    rows: function (coverage) {
        let me = this;
        let utils = PVE.escrow.Utils;
        let keys = (coverage.keys ?? []).map(function ({ fingerprint, snapshots, state }) {
            let known = me.STATES[state] ?? { ...me.UNKNOWN, text: utils.text(state) };
            return { name: utils.fingerprint(fingerprint) || gettext('a key'), count: snapshots, ...known };
        });
        keys.sort((a, b) => a.order - b.order || b.count - a.count);
        let rows = keys.slice(0, me.MAX_KEYS);
        let rest = keys.slice(me.MAX_KEYS);
        if (rest.length) {
            rows.push({
                name: Ext.String.format(ngettext('{0} more key', '{0} more keys', rest.length), rest.length),
                count: rest.reduce((sum, { count }) => sum + count, 0),
                cls: rest[0].cls,
                text: rest[0].text,
            });
        }
        if (coverage.nameless) {
            rows.push({
                name: gettext('No key named'),
                count: coverage.nameless,
                cls: 'critical',
                text: gettext('not known'),
            });
        }
        if (coverage.plain) {
            rows.push({
                name: gettext('Plaintext'),
                count: coverage.plain,
                cls: 'faded',
                text: gettext('not encrypted'),
            });
        }
        return rows;
    },

    bars: function (coverage) {
        let me = this;
        let utils = PVE.escrow.Utils;
        let rows = me.rows(coverage);
        let most = Math.max(1, ...rows.map(({ count }) => count));
        let line = ({ name, count, cls, text }) =>
            `<tr><th scope="row">${name}</th>` +
            `<td aria-hidden="true"><span class="escrow-bar ${cls}" style="width:${(100 * count) / most}%"></span></td>` +
            `<td class="escrow-count">${utils.text(count)} ${text}</td></tr>`;
        let total = Ext.String.format(
            ngettext('{0} snapshot, as far as the server showed {1}', '{0} snapshots, as far as the server showed {1}', coverage.snapshots),
            utils.text(coverage.snapshots),
            utils.age(coverage.time),
        );
        let notes = [
            [coverage['without-rsa'], gettext('{0} of them without a copy of their key for a master key')],
            [coverage.unreadable, gettext('{0} more could not be read')],
        ];
        let more = notes.map(([n, text]) => (n ? `<br>${utils.format(text, n)}` : '')).join('');
        return `<table class="escrow-bars" aria-label="${gettext('Snapshots by key')}"><tbody>${rows.map(line).join('')}</tbody></table><div style="padding-top: 4px">${total}${more}</div>`;
    },
});
