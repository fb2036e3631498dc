import { agentHome, logFile, type Box } from './box.ts';
import type { Running } from './programs.ts';
import type { SiloSource } from './silos.ts';

/** The agents that run, one process a hospital. */
export class Agents {
  readonly #box: Box;
  readonly #running = new Map<string, Running>();

  constructor(box: Box) {
    this.#box = box;
  }

  /** Starts a hospital's agent; `onLine` hears every line of its log. */
  start(silo: SiloSource, onLine?: (line: string) => void): void {
    const args = ['run', '--home', agentHome(this.#box, silo)];
    const output = { log: logFile(this.#box, silo.name), ...(onLine && { onLine }) };
    const { programs } = this.#box;
    this.#running.set(silo.name, programs.start(silo.name, 'medley-agent', args, output));
  }

  /** Ends an agent as a power cut would: SIGKILL, nothing is asked. */
  kill(name: string): void {
    this.#running.get(name)?.kill('SIGKILL');
    this.#running.delete(name);
  }

  isRunning(name: string): boolean {
    return this.#running.has(name);
  }
}
