// No colour but the theme's: its classes good, warning and critical, and the colour that text has anyway.
Ext.util.CSS.createStyleSheet(
    `
.escrow-mono { font-family: monospace; white-space: nowrap; }
.escrow-hint { opacity: 0.65; }
.escrow-line { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.escrow-plain { background: none; border: 0; padding: 0 4px; color: inherit; cursor: pointer; font: inherit; }
.escrow-plain:focus-visible { outline: 1px solid currentColor; }
.escrow-verdict { display: flex; align-items: flex-start; gap: 10px; }
.escrow-verdict > i { font-size: 28px; width: auto; }
.escrow-verdict h2 { display: inline; font-size: 15px; line-height: 20px; font-weight: bold; margin: 0; }
.escrow-verdict ul { margin: 2px 0 0; padding: 0; list-style: none; }
.escrow-table { border-collapse: collapse; width: 100%; table-layout: fixed; }
.escrow-table th { width: 110px; text-align: left; font-weight: normal; opacity: 0.75; padding: 2px 10px 2px 0; white-space: nowrap;
    vertical-align: top; }
.escrow-table td { padding: 2px 0; vertical-align: top; }
.escrow-bars { border-collapse: collapse; width: 100%; }
.escrow-bars th { text-align: left; font-weight: normal; padding: 2px 8px 2px 0; white-space: nowrap; }
.escrow-bars td { padding: 2px 0; width: 100%; }
.escrow-bars td.escrow-count { text-align: right; padding-left: 8px; width: 1%; white-space: nowrap; }
.escrow-bar { display: block; height: 12px; min-width: 2px; background-color: currentColor; }
.escrow-words { column-count: 2; column-gap: 24px; margin: 0; padding: 0; list-style: none; }
.escrow-words li { font-family: monospace; font-size: 22px; line-height: 34px; break-inside: avoid;
    white-space: nowrap; }
.escrow-words li span { display: inline-block; width: 1.8em; text-align: right; margin-right: 0.6em; opacity: 0.6; }
.escrow-text p { margin: 0 0 8px; line-height: 18px; }
.escrow-text ul, .escrow-text ol { margin: 0 0 8px; padding-left: 20px; line-height: 18px; }
.escrow-drop { border: 1px dashed currentColor; border-radius: 3px; padding: 10px; text-align: center; }
`,
    'pve-escrow-styles',
);
