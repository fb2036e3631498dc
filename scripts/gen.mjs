// Generates what is not kept in git: TypeScript types of the protocol, the ONNX reader and writer,
// the Prisma client. Each is made anew only when its sources changed.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const bin = (name) => join(root, 'node_modules', '.bin', name);

step('packages/rpc/src/generated', files('proto/medley/v1', '.proto'), (out) => {
  const protos = files('proto/medley/v1', '.proto');
  call(bin('proto-loader-gen-types'), [
    '--longs=String',
    '--enums=String',
    '--defaults',
    '--oneofs',
    '--includeComments',
    '--grpcLib=@grpc/grpc-js',
    '--importFileExtension=.ts',
    `--includeDirs=${join(root, 'proto')}`,
    `--outDir=${out}`,
    ...protos.map((file) => file.slice('proto/'.length)),
  ]);
  // The index file per .proto repeats the service types, unused here, and does not pass our compiler flags.
  for (const file of readdirSync(out)) if (file.endsWith('.ts')) rmSync(join(out, file));
  // The loader reads the same files at run time; they travel with the package.
  for (const file of protos) {
    const target = join(root, 'packages/rpc/proto', file.slice('proto/'.length));
    mkdirSync(join(target, '..'), { recursive: true });
    copyFileSync(join(root, file), target);
  }
});

step('packages/autodiff/src/generated', ['packages/autodiff/proto/onnx.proto3'], (out) => {
  const source = join(root, 'packages/autodiff/proto/onnx.proto3');
  call(bin('pbjs'), [
    '-t',
    'static-module',
    '-w',
    'es6',
    '--es6',
    '--no-create',
    '--no-verify',
    '--no-delimited',
    '--no-convert',
    '--no-typeurl',
    '--force-long',
    '-o',
    join(out, 'onnx.js'),
    source,
  ]);
  // Node resolves neither a missing extension nor the named exports of protobufjs' CommonJS.
  const module = readFileSync(join(out, 'onnx.js'), 'utf8');
  writeFileSync(
    join(out, 'onnx.js'),
    module.replace(
      'import * as $protobuf from "protobufjs/minimal";',
      'import $protobuf from "protobufjs/minimal.js";',
    ),
  );
  call(bin('pbts'), ['-o', join(out, 'onnx.d.ts'), join(out, 'onnx.js')]);
  // tsc does not copy plain JavaScript: dist needs it beside the compiled importer.
  const dist = join(root, 'packages/autodiff/dist/generated');
  mkdirSync(dist, { recursive: true });
  copyFileSync(join(out, 'onnx.js'), join(dist, 'onnx.js'));
});

step(
  'services/aggregator/src/store/generated',
  ['services/aggregator/prisma/models.prisma'],
  (out) => {
    const header = [
      'generator client {',
      '  provider = "prisma-client"',
      `  output = ${JSON.stringify(out)}`,
      '  importFileExtension = "ts"',
      '  generatedFileExtension = "ts"',
      '  moduleFormat = "esm"',
      '}',
      'datasource db {',
      '  provider = "sqlite"',
      '}',
      '',
    ].join('\n');
    const schema = join(out, '..', '.schema.generated.prisma');
    writeFileSync(
      schema,
      header + readFileSync(join(root, 'services/aggregator/prisma/models.prisma'), 'utf8'),
    );
    // `generate` never runs the schema engine, but Prisma downloads it unless it is told that it has one.
    call(bin('prisma'), ['generate', `--schema=${schema}`], {
      PRISMA_SCHEMA_ENGINE_BINARY: process.execPath,
      CHECKPOINT_DISABLE: '1',
      PRISMA_HIDE_UPDATE_MESSAGE: '1',
    });
    rmSync(schema);
  },
);

// What the operator's command is made of, for auditors; it says nothing of where packages come from.
step('services/operator/generated', ['package-lock.json'], (out) => {
  const bill = billOf(JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')));
  writeFileSync(join(out, 'sbom.cdx.json'), `${JSON.stringify(bill, undefined, 1)}\n`);
});

/** CycloneDX 1.6 of a package-lock. */
function billOf({ name, version, packages }) {
  const components = Object.entries(packages)
    .filter(([path, { link }]) => path.includes('node_modules/') && !link)
    .map(([path, { name: own, version, license, integrity, dev, optional }]) => {
      const package_ =
        own ?? path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
      const [algorithm, digest] = (integrity ?? '').split(/-(.*)/s);
      return {
        type: 'library',
        'bom-ref': path,
        name: package_,
        version,
        purl: `pkg:npm/${package_.replace('@', '%40')}@${version}`,
        scope: dev ? 'excluded' : optional ? 'optional' : 'required',
        ...(license && { licenses: [{ expression: license }] }),
        ...(algorithm === 'sha512' && {
          hashes: [{ alg: 'SHA-512', content: Buffer.from(digest, 'base64').toString('hex') }],
        }),
      };
    });
  return {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: { component: { type: 'application', 'bom-ref': name, name, version } },
    components,
  };
}

function files(folder, ending) {
  const path = join(root, folder);
  if (!existsSync(path)) return [];
  return readdirSync(path)
    .filter((name) => name.endsWith(ending))
    .sort()
    .map((name) => `${folder}/${name}`);
}

/** Runs `make` into an empty `target` when the hash of `sources` and of this script changed. */
function step(target, sources, make) {
  const present = sources.filter((file) => existsSync(join(root, file)));
  if (present.length === 0) return;
  const hash = createHash('sha256').update(readFileSync(fileURLToPath(import.meta.url)));
  for (const file of present) hash.update(file).update(readFileSync(join(root, file)));
  const digest = hash.digest('hex');
  const out = join(root, target);
  const stamp = join(out, '.stamp');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === digest) return;
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  console.error(`generating ${target}`);
  make(out);
  writeFileSync(stamp, digest);
}

function call(command, args, env = {}) {
  const done = spawnSync(command, args, {
    cwd: root,
    env: { ...process.env, ...env },
    encoding: 'utf8',
  });
  if (done.status !== 0) {
    console.error(done.stdout, done.stderr, done.error ?? '');
    console.error(`generation failed: ${command} ${args.join(' ')}`);
    process.exit(1);
  }
}
