import js from '@eslint/js';
import tseslint from 'typescript-eslint';

/** Who may import whom among our workspaces; docs/architecture.md says why. */
const mayImport = {
  'packages/kit': [],
  'packages/secagg': ['kit', 'merkle'],
  'packages/privacy': ['kit'],
  'packages/autodiff': ['kit'],
  'packages/merkle': ['kit'],
  'packages/pki': ['kit'],
  'packages/study': ['kit', 'secagg', 'privacy'],
  'packages/rpc': ['kit', 'pki'],
  'packages/trail': ['kit', 'secagg', 'merkle', 'study'],
  'services/aggregator': [
    'kit',
    'secagg',
    'privacy',
    'autodiff',
    'merkle',
    'pki',
    'rpc',
    'study',
    'trail',
  ],
  'services/audit': ['kit', 'merkle', 'pki', 'rpc', 'study', 'trail'],
  'services/operator': ['kit', 'secagg', 'autodiff', 'merkle', 'pki', 'rpc', 'study', 'trail'],
  'silo-agent': ['kit', 'secagg', 'privacy', 'autodiff', 'merkle', 'pki', 'rpc', 'study', 'trail'],
  'deploy/demo': ['kit', 'autodiff', 'merkle', 'study'],
};
const ours = [
  ...new Set([
    ...Object.values(mayImport).flat(),
    'aggregator',
    'audit',
    'operator',
    'silo-agent',
    'demo',
  ]),
];

/** Packages that only these places may touch. */
const walls = {
  'node-forge': ['packages/pki/src/'],
  'onnxruntime-node': ['packages/autodiff/src/session.ts'],
  '@prisma/client': ['services/aggregator/src/store/'],
  '@prisma/adapter-libsql': ['services/aggregator/src/store/'],
  '@libsql/client': ['services/aggregator/src/store/', 'services/audit/src/store/'],
};

function boundary(workspace) {
  const allowed = mayImport[workspace];
  const banned = ours
    .filter((name) => !allowed.includes(name))
    .map((name) => ({
      name: `@medley/${name}`,
      message: `${workspace} may import only: ${allowed.join(', ') || 'nothing of ours'}`,
    }));
  const walled = Object.entries(walls)
    .filter(([, homes]) => !homes.some((home) => home.startsWith(`${workspace}/`)))
    .map(([name, homes]) => ({ name, message: `only ${homes.join(' and ')} imports ${name}` }));
  return {
    files: [`${workspace}/src/**/*.ts`],
    rules: {
      'no-restricted-imports': [
        'error',
        { paths: [...banned, ...walled], patterns: ['@medley/*/*'] },
      ],
    },
  };
}

const ambient = [
  { object: 'Date', property: 'now', message: 'take a Clock (kit)' },
  { object: 'Math', property: 'random', message: 'take an Rng (kit)' },
];

export default tseslint.config(
  {
    ignores: [
      '**/dist/',
      '**/generated/',
      '**/node_modules/',
      'demo-report/',
      '.medley/',
      'coverage/',
    ],
  },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/only-throw-error': 'off',
      'max-lines': ['error', { max: 400 }],
      'max-lines-per-function': ['error', { max: 80, skipBlankLines: true, skipComments: true }],
      complexity: ['error', 18],
      'no-restricted-properties': ['error', ...ambient],
    },
  },
  ...Object.keys(mayImport).map(boundary),
  {
    // The one place where ambient time and randomness become dependencies.
    files: ['packages/kit/src/clock.ts', 'packages/kit/src/rng.ts'],
    rules: { 'no-restricted-properties': 'off' },
  },
  {
    files: ['**/src/**/*.test.ts'],
    languageOptions: { parserOptions: { projectService: false, project: './tests/tsconfig.json' } },
  },
  {
    files: ['**/*.test.ts', 'tests/**/*.ts'],
    rules: {
      'max-lines-per-function': 'off',
      'no-restricted-properties': 'off',
      'no-restricted-imports': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
    },
  },
  {
    files: ['**/*.js', '**/*.mjs'],
    languageOptions: {
      globals: {
        clearInterval: 'readonly',
        setInterval: 'readonly',
        TextDecoder: 'readonly',
        process: 'readonly',
        console: 'readonly',
        URL: 'readonly',
        Buffer: 'readonly',
        setTimeout: 'readonly',
        ArrayBuffer: 'readonly',
        SharedArrayBuffer: 'readonly',
        AbortController: 'readonly',
        performance: 'readonly',
        setImmediate: 'readonly',
      },
    },
  },
);
