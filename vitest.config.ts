import { defineConfig } from 'vitest/config';

const project = (name: string, include: string[], testTimeout = 60_000) => ({
  test: { name, include, testTimeout, hookTimeout: 60_000 },
});

/** Where `.ci/run` wants the results, besides what is printed. */
const report = process.env['XENOLITH_TEST_REPORT'];

/** One project per kind of proof, so that each can be run alone: `npx vitest run --project isa`. */
export default defineConfig({
  test: {
    maxWorkers: 2,
    reporters: report === undefined ? ['default'] : ['default', ['json', { outputFile: report }]],
    projects: [
      project('unit', ['tests/unit/**/*.test.ts']),
      project('isa', ['tests/isa/**/*.test.ts'], 600_000),
      project('hypercall', ['tests/hypercall/**/*.test.ts']),
      project('xenstore', ['tests/xenstore/**/*.test.ts'], 300_000),
      project('guests', ['tests/guests/**/*.test.ts'], 300_000),
      project('api', ['tests/api/**/*.test.ts'], 1_200_000),
      project('rules', ['tests/rules/**/*.test.ts']),
    ],
  },
});
