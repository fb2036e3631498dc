import { spawn, type ChildProcess } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { MedleyError } from '@medley/kit';

/** The four programs of Medley, by their command's name, and the auditor's own. */
export type ProgramName =
  'medley' | 'medley-agent' | 'medley-aggregator' | 'medley-audit' | 'verify.mjs';

/** How the demo runs programs: the very files that a package installs, each in its own process. */
export interface ProgramsOptions {
  /** Path of each program's entry file. */
  readonly files: Readonly<Record<ProgramName, string>>;
  readonly node: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Folder that relative arguments are taken against. */
  readonly cwd: string;
  /** Aborting ends every process. */
  readonly signal: AbortSignal;
}

/** A long-running process. */
export interface Running {
  readonly name: string;
  readonly pid: number;
  /** Settles with the exit code, or null when a signal ended it. */
  readonly ended: Promise<number | null>;
  kill(signal: NodeJS.Signals): void;
}

const LAST_WORDS = 2000;

/** Starts programs and knows which still run, so that none outlives the demo. */
export class Programs {
  readonly #options: ProgramsOptions;
  readonly #alive = new Set<ChildProcess>();

  constructor(options: ProgramsOptions) {
    this.#options = options;
  }

  /** Runs a command with `--json` to its end and returns its result. Throws DEMO_STEP_FAILED. */
  async call<T>(program: ProgramName, ...args: readonly string[]): Promise<T> {
    const child = this.#spawn(program, [...args, '--json']);
    const [out, err] = [text(child.stdout), text(child.stderr)];
    const code = await exit(child);
    if (code !== 0) throw failed(program, args, await err, code);
    try {
      return JSON.parse(await out) as T;
    } catch (cause) {
      throw new MedleyError('DEMO_STEP_FAILED', `${program} ${args.join(' ')}: no JSON`, { cause });
    }
  }

  /** The JSON documents that a watching command writes, one a line, until it ends. */
  async *follow<T>(program: ProgramName, ...args: readonly string[]): AsyncGenerator<T> {
    const child = this.#spawn(program, [...args, '--json']);
    const err = text(child.stderr);
    if (!child.stdout) return;
    for await (const line of createInterface({ input: child.stdout })) {
      yield JSON.parse(line) as T;
    }
    const code = await exit(child);
    if (code !== 0) throw failed(program, args, await err, code);
  }

  /** Starts a server or an agent; what it prints goes to `log`, each line to `onLine` as well. */
  start(
    name: string,
    program: ProgramName,
    args: readonly string[],
    { log, onLine }: { readonly log: string; readonly onLine?: (line: string) => void },
  ): Running {
    const child = this.#spawn(program, args);
    const file = createWriteStream(log, { flags: 'a' });
    child.stdout?.pipe(file, { end: false });
    child.stderr?.pipe(file, { end: false });
    if (onLine && child.stderr) createInterface({ input: child.stderr }).on('line', onLine);
    const ended = exit(child).finally(() => file.end());
    return { name, pid: child.pid ?? 0, ended, kill: (signal) => void child.kill(signal) };
  }

  /** Asks every process to end, then makes it. */
  async stopAll(graceMs: number): Promise<void> {
    const children = [...this.#alive];
    for (const child of children) child.kill('SIGTERM');
    const force = setTimeout(() => {
      for (const child of children) child.kill('SIGKILL');
    }, graceMs);
    await Promise.all(children.map(exit));
    clearTimeout(force);
  }

  #spawn(program: ProgramName, args: readonly string[]): ChildProcess {
    const { files, node, env, cwd, signal } = this.#options;
    if (signal.aborted) throw signal.reason;
    const child = spawn(node, [files[program], ...args], {
      cwd,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
      // Its own process group: Ctrl-C reaches the demo alone, which then ends them in order.
      detached: true,
    });
    this.#alive.add(child);
    child.once('exit', () => this.#alive.delete(child));
    return child;
  }
}

async function exit(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const [code] = (await once(child, 'exit')) as [number | null];
  return code;
}

async function text(stream: NodeJS.ReadableStream | null): Promise<string> {
  let all = '';
  if (stream) for await (const part of stream) all += String(part);
  return all;
}

function failed(
  program: string,
  args: readonly string[],
  err: string,
  code: number | null,
): MedleyError {
  const ending = code === null ? 'was ended by a signal' : `ended with exit code ${String(code)}`;
  return new MedleyError(
    'DEMO_STEP_FAILED',
    `${program} ${args.join(' ')} ${ending}\n${err.slice(-LAST_WORDS)}`,
  );
}
