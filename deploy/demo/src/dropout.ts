import type { Agents } from './agents.ts';
import type { SiloSource } from './silos.ts';
import type { RoundReport, StudyReport } from './status.ts';

/** Which agent was killed, when, and when it was started again. */
export interface Dropout {
  readonly silo: string;
  readonly killedInRound: number;
  /** Open when it was started again. */
  readonly restartedInRound: number | null;
  /** First round with its update in the sum again. */
  readonly backInRound: number | null;
}

/** How many rounds the killed agent stays away. */
const AWAY_ROUNDS = 2;
/** With fewer hospitals no drop-out can be afforded: three survivors are the floor. */
const MIN_SILOS = 4;

/**
 * Kills one agent between R1 and R2 of a round: when its own log says that training begins, its shares
 * are dealt and its masked vector is not sent. It is started again two rounds later. Whether the kill
 * came in time shows when the round is closed; if not, a later round is tried.
 */
export class Killer {
  readonly #agents: Agents;
  readonly #victim: SiloSource | undefined;
  readonly #fromRound: number;
  #killedIn: number | null = null;
  #restartedIn: number | null = null;

  /** `fromRound`: the first round in which the agent may be killed. */
  constructor(agents: Agents, silos: readonly SiloSource[], fromRound: number) {
    this.#agents = agents;
    this.#victim = silos.length >= MIN_SILOS ? silos[0] : undefined;
    this.#fromRound = fromRound;
  }

  /** Starts every agent, the victim's with an ear on its log. */
  startAgents(silos: readonly SiloSource[]): void {
    for (const silo of silos) {
      if (silo === this.#victim) this.#startVictim(silo);
      else this.#agents.start(silo);
    }
  }

  /** Follows the study, to start the agent again when it is time. */
  observe(report: StudyReport): void {
    const victim = this.#victim;
    const killed = this.#killedRound(report);
    const open = report.rounds.find(isOpen);
    if (!victim || !killed || !open || this.#agents.isRunning(victim.name)) return;
    const isTooLate = killed.survivors.includes(victim.name);
    if (!isTooLate && open.round < killed.round + AWAY_ROUNDS) return;
    if (isTooLate) this.#killedIn = null;
    else this.#restartedIn = open.round;
    this.#startVictim(victim);
  }

  /** What the report shows of the drop-out; null when nobody was killed in time. */
  dropout(report: StudyReport): Dropout | null {
    const silo = this.#victim?.name;
    const round = this.#killedRound(report);
    if (silo === undefined || !round || round.survivors.includes(silo)) return null;
    if (!round.sharers.includes(silo)) return null;
    const back = report.rounds.find((r) => r.round > round.round && r.survivors.includes(silo));
    const restartedInRound = this.#restartedIn;
    const backInRound = restartedInRound === null ? null : (back?.round ?? null);
    return { silo, killedInRound: round.round, restartedInRound, backInRound };
  }

  #startVictim(silo: SiloSource): void {
    this.#agents.start(silo, (line) => {
      const round = this.#killedIn === null ? trainingBegun(line) : undefined;
      if (round === undefined || round < this.#fromRound) return;
      this.#agents.kill(silo.name);
      this.#killedIn = round;
    });
  }

  #killedRound(report: StudyReport): RoundReport | undefined {
    return report.rounds.find((r) => r.round === this.#killedIn && r.step === 'closed');
  }
}

/** The round whose training a line of an agent's log announces. */
function trainingBegun(line: string): number | undefined {
  if (!line.includes('local work begins')) return undefined;
  const { step, round } = JSON.parse(line) as { step?: string; round?: number };
  return step === 'training' ? round : undefined;
}

function isOpen({ step }: RoundReport): boolean {
  return step !== 'closed' && step !== 'aborted';
}
