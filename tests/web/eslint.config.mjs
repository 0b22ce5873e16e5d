import js from '@eslint/js';

const readonly = (...names) => Object.fromEntries(names.map((name) => [name, 'readonly']));

const BROWSER = readonly(
    'Blob', 'DOMParser', 'DataTransfer', 'ClipboardEvent', 'FileReader', 'Image', 'URL', 'console', 'document', 'window',
    'localStorage', 'sessionStorage', 'location', 'performance', 'requestAnimationFrame', 'Uint8ClampedArray', 'URLSearchParams',
);
const RULES = {
    ...js.configs.recommended.rules,
    'no-unused-vars': ['error', { argsIgnorePattern: '.', caughtErrorsIgnorePattern: '^_' }],
    eqeqeq: 'error',
    'no-eval': 'error',
    'no-implied-eval': 'error',
};

export default [
    {
        files: ['**/www/*.js', '**/frame/*.js'],
        languageOptions: {
            sourceType: 'script',
            globals: { ...BROWSER, ...readonly('Ext', 'PVE', 'QRCode', 'gettext', 'ngettext'), Proxmox: 'writable' },
        },
        rules: {
            ...RULES,
            // callParent finds its way by its caller: such a function has none
            'no-restricted-syntax': [
                'error',
                { selector: "ArrowFunctionExpression CallExpression[callee.property.name='callParent']", message: 'no callParent in an arrow function' },
                { selector: ':function[async=true]', message: 'no async function: callParent does not work there' },
                { selector: "ExpressionStatement[directive='use strict']", message: "callParent needs what 'use strict' forbids" },
                { selector: "MemberExpression[property.name=/^(innerHTML|outerHTML)$/]", message: 'what is shown goes through Ext, encoded' },
            ],
        },
    },
    {
        files: ['**/*.mjs'],
        languageOptions: { sourceType: 'module', globals: { ...BROWSER, ...readonly('Buffer', 'Ext', 'process', 'fetch', 'setTimeout') } },
        rules: RULES,
    },
];
