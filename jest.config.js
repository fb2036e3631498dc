/** @type {import('jest').Config} */
export default {
  testEnvironment: '<rootDir>/tests/support/environment.js',
  testEnvironmentOptions: { customExportConditions: ['medley-source', 'node', 'node-addons'] },
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: { target: 'es2023', parser: { syntax: 'typescript' } },
        module: { type: 'es6' },
        sourceMaps: 'inline',
      },
    ],
  },
  testMatch: ['**/*.test.ts'],
  modulePathIgnorePatterns: ['/dist/', '/demo-report/', '/.medley/'],
  coverageProvider: 'v8',
  coveragePathIgnorePatterns: ['/generated/', '/node_modules/', '/dist/'],
  testTimeout: 120_000,
  maxWorkers: 2,
};
