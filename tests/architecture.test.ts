import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';

const root = fileURLToPath(new URL('..', import.meta.url));
const workspaces = [
  ...folders('packages').map((name) => `packages/${name}`),
  ...folders('services').map((name) => `services/${name}`),
  'silo-agent',
  'deploy/demo',
];

/** Generated code is not in git; what it imports is needed all the same. */
const USED_BY_GENERATED_CODE: Readonly<Record<string, readonly string[]>> = {
  'services/aggregator': ['@prisma/client'],
};

interface Source {
  readonly file: string;
  readonly text: string;
  readonly imports: readonly string[];
}

const sources = new Map(workspaces.map((workspace) => [workspace, sourcesOf(workspace)]));

describe.each(workspaces)('%s', (workspace) => {
  const own = sources.get(workspace) ?? [];

  test('keeps every file at 400 lines or fewer', () => {
    const long = own.filter(({ text }) => text.split('\n').length > 401).map(({ file }) => file);
    expect(long).toEqual([]);
  });

  test('has no cycle of imports', () => {
    expect(cycleOf(own)).toEqual([]);
  });

  test('names in package.json exactly what it imports', () => {
    const manifest = JSON.parse(readFileSync(join(root, workspace, 'package.json'), 'utf8')) as {
      name: string;
      dependencies?: Record<string, string>;
    };
    const used = own
      .filter(({ file }) => !file.endsWith('.test.ts'))
      .flatMap(({ imports }) => imports)
      .filter((name) => !name.startsWith('.') && !name.startsWith('node:'))
      .map((name) =>
        name
          .split('/')
          .slice(0, name.startsWith('@') ? 2 : 1)
          .join('/'),
      )
      .filter((name) => name !== manifest.name);
    const all = new Set([...used, ...(USED_BY_GENERATED_CODE[workspace] ?? [])]);
    expect(Object.keys(manifest.dependencies ?? {}).sort()).toEqual([...all].sort());
  });

  test('imports other workspaces only by their public entry', () => {
    const shipped = own.filter(({ file }) => !file.endsWith('.test.ts'));
    const reaching = shipped.flatMap(({ file, imports }) =>
      imports
        .filter((name) => name.startsWith('.'))
        .filter((name) => !resolve(dirname(file), name).startsWith(join(root, workspace)))
        .map((name) => `${relative(root, file)} -> ${name}`),
    );
    const deep = own.flatMap(({ file, imports }) =>
      imports.filter((name) => /^@medley\/[^/]+\/./.test(name)).map((name) => `${file} -> ${name}`),
    );
    expect([...reaching, ...deep]).toEqual([]);
  });
});

test('process is named only in main files', () => {
  const naming = [...sources.values()]
    .flat()
    .filter(({ file }) => !/(\.test|main)\.ts$/.test(file))
    .filter(({ text }) =>
      /(?<![.\w'"/-])process\.(env|exit|argv|on|once|stdout|stderr|stdin|kill)\b/.test(text),
    )
    .map(({ file }) => relative(root, file));
  expect(naming).toEqual([]);
});

function folders(path: string): string[] {
  return readdirSync(join(root, path), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);
}

function sourcesOf(workspace: string): Source[] {
  return readdirSync(join(root, workspace, 'src'), { recursive: true, withFileTypes: true })
    .filter(
      (entry) => entry.isFile() && entry.name.endsWith('.ts') && !entry.name.endsWith('.d.ts'),
    )
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => !file.includes('/generated/'))
    .map((file) => {
      const text = readFileSync(file, 'utf8');
      const found = text.matchAll(
        /(?:^|\n)\s*(?:import|export)\s[^;'"]*?from\s+'([^']+)'|(?:^|\n)\s*import\s+'([^']+)'|import\('([^']+)'\)/g,
      );
      return {
        file,
        text,
        imports: [...found].map((match) => match[1] ?? match[2] ?? match[3] ?? ''),
      };
    });
}

/** The first cycle of relative imports that counts at run time, as file names, or nothing. */
function cycleOf(own: readonly Source[]): string[] {
  const edges = new Map<string, string[]>();
  for (const { file, text, imports } of own) {
    const targets = imports
      .filter((name) => name.startsWith('.'))
      .filter(
        (name) =>
          !new RegExp(`(import|export) type [^;]*from '${name.replaceAll('.', '\\.')}'`).test(text),
      )
      .map((name) => resolve(dirname(file), name));
    edges.set(file, targets);
  }
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): string[] => {
    if (path.includes(file))
      return [...path.slice(path.indexOf(file)), file].map((f) => relative(root, f));
    if (done.has(file)) return [];
    for (const next of edges.get(file) ?? []) {
      const cycle = visit(next, [...path, file]);
      if (cycle.length > 0) return cycle;
    }
    done.add(file);
    return [];
  };
  for (const { file } of own) {
    const cycle = visit(file, []);
    if (cycle.length > 0) return cycle;
  }
  return [];
}
