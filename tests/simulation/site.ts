import { cpSync } from 'node:fs';
import { seededRng, silentLogger, type Logger } from '@medley/kit';
import { threadMasker } from '@medley/secagg';
import type { Identity } from '@medley/pki';
import { Agent } from '../../silo-agent/src/agent.ts';
import { openLedger } from '../../silo-agent/src/budget/ledger.ts';
import { DEFAULT_PRIVACY } from '../../silo-agent/src/config.ts';
import { homePaths, type AgentHome } from '../../silo-agent/src/home.ts';
import { grpcMessages } from '../../silo-agent/src/round/messages.ts';
import { DEFAULT_FLOORS } from '@medley/study';
import { vouching } from '../../silo-agent/src/witness/vouch.ts';
import { Witness } from '../../silo-agent/src/witness/witness.ts';
import { witnessKeyOf } from '../support/witness.ts';
import type { Member } from './consortium.ts';
import type { MomentKind, StepName } from './moment.ts';
import type { Network } from './network.ts';
import type { Life, SimTime } from './time.ts';
import { exactWork } from './work.ts';

export interface SiteSetup {
  readonly member: Member;
  readonly network: Network;
  readonly time: SimTime;
  readonly seed: string;
  readonly logger?: Logger;
  readonly onMoment: (who: number, kind: MomentKind, step: StepName, round: number) => void;
  /** Told when a round was verified here. */
  readonly onVerified: (isLast: boolean) => void;
}

/** Step of the message that a frame is signed for (docs/protocol.md section 5). */
const STEP_OF_FRAME: Readonly<Record<string, StepName>> = {
  advertise: 'advertise',
  share: 'share',
  masked: 'mask',
  survivors: 'confirm',
  release: 'release',
};
const FRAME = 'medley/secagg/v1/';

/**
 * One life of one agent: the real agent over its real files in a folder of its own. Killing it copies
 * the folder as it is at that instant; whatever the dead one still does reaches nobody.
 */
export class Site {
  readonly life: Life = { isAlive: true, skewMs: 0 };
  readonly folder: string;
  readonly #stop = new AbortController();

  constructor(setup: SiteSetup, folder: string, skewMs = 0) {
    this.folder = folder;
    this.life.skewMs = skewMs;
    const { member, network, time, seed } = setup;
    const client = network.client({ ...member, life: this.life });
    const clock = time.of(this.life);
    const home = homeOf(member, folder);
    const messages = grpcMessages(client);
    const key = witnessKeyOf(member.silo);
    const { publicKey } = member.identity;
    const site = { consortium: 'test', silo: member.silo, publicKey };
    const witness = new Witness({
      files: home.paths.witness,
      key,
      prove: (...sizes) => messages.proveLog(...sizes),
      clock,
    });
    const agent = new Agent({
      home,
      witness,
      vouch: vouching(site, member.identity, key, messages),
      ledger: openLedger(home, { clock, processes: { pid: 1, isAlive: () => false } }),
      site,
      identity: this.#watched(member.identity, setup),
      messages,
      decisions: async (study, signal) => (await client.getStudy({ study }, { signal })).signatures,
      attend: (signal) => client.attend({ agentVersion: 'sim', protocolVersion: 2 }, { signal }),
      work: exactWork(member.index),
      masker: threadMasker,
      clock,
      // Another life draws other keys, as it would from the operating system.
      rng: seededRng(`${seed} ${folder.slice(-8)}`),
      logger: this.#listening(setup),
    });
    const signals = { drain: new AbortController().signal, stop: this.#stop.signal, drainMs: 0 };
    // A dead agent's promises are never settled; a live one's end is the run's.
    void agent.run(signals);
  }

  /** SIGKILL: the folder as it stands now is all that is left, in `next`. */
  kill(next: string): void {
    this.life.isAlive = false;
    cpSync(this.folder, next, { recursive: true });
  }

  discard(): void {
    this.life.isAlive = false;
  }

  #watched(identity: Identity, setup: SiteSetup): Identity {
    const { publicKey } = identity;
    return {
      ...identity,
      publicKey,
      sign: (message) => {
        const text = new TextDecoder('latin1').decode(message.subarray(0, 40));
        const what = text.startsWith(FRAME) ? text.slice(FRAME.length).split('\0')[0]! : '';
        const step = STEP_OF_FRAME[what];
        if (step && this.life.isAlive) setup.onMoment(setup.member.index, 'sign', step, -1);
        return identity.sign(message);
      },
    };
  }

  #listening({ logger = silentLogger, onVerified, member }: SiteSetup): Logger {
    const own = logger.with({ silo: member.silo });
    const listening: Logger = {
      ...own,
      debug: (event, fields) => own.debug(event, fields),
      warn: (event, fields) => this.life.isAlive && own.warn(event, fields),
      error: (event, fields) => own.error(event, fields),
      info: (event, fields) => {
        if (!this.life.isAlive) return;
        if (event === 'study complete') onVerified(true);
        if (event === 'round verified') onVerified(false);
        own.info(event, fields);
      },
      with: () => listening,
    };
    return listening;
  }
}

export function homeOf({ silo }: Pick<Member, 'silo'>, folder: string): AgentHome {
  return {
    paths: homePaths(folder),
    config: {
      apiVersion: 'medley/v1',
      kind: 'Agent',
      site: { id: silo, name: silo },
      policy: DEFAULT_FLOORS,
      privacy: DEFAULT_PRIVACY,
      network: {},
      connectors: [],
    },
    site: { folder, connectors: [] },
  };
}
