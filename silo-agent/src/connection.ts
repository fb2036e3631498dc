import type { Clock } from '@medley/kit';
import { connect, Rounds, type Client, type RoundsMethods } from '@medley/rpc';
import { openMembership, type Membership } from './enrolment/record.ts';
import { finishRenewal } from './enrolment/renewal.ts';
import type { AgentHome } from './home.ts';
import { openKeys, type Keys } from './keystore.ts';
import type { SiteIdentity } from './study/offer.ts';

/** An enrolled agent with its keys and a client to the aggregator, which connects on its first call. */
export interface Connection {
  readonly membership: Membership;
  readonly keys: Keys;
  readonly site: SiteIdentity;
  readonly client: Client<RoundsMethods>;
  /** `host:port` of the aggregator. */
  readonly address: string;
}

/**
 * The caller closes `client`. Throws AGENT_NOT_ENROLLED, ENROLMENT_PENDING, AGENT_KEY_EXPOSED,
 * RPC_ADDRESS_INVALID, RPC_TLS_REFUSED.
 */
export async function openConnection(home: AgentHome, clock: Clock): Promise<Connection> {
  // A renewal may have broken off, or be just putting its files in place.
  await finishRenewal(home.paths);
  const membership = await openMembership(home.paths);
  const keys = await openKeys(home.paths.keys);
  const { record, caPem, certPem } = membership;
  const address = home.config.network.rounds ?? record.endpoints.rounds;
  const tls = { caPem, certPem, keyPem: keys.tlsKeyPem, serverRole: 'aggregator' } as const;
  const client = connect({ service: Rounds, address, tls, clock });
  const { publicKey } = keys.identity;
  const site = { consortium: record.consortium, silo: record.silo, publicKey };
  return { membership, keys, site, client, address };
}

/** Opens a connection for one piece of work and closes it afterwards. */
export async function withConnection<T>(
  home: AgentHome,
  clock: Clock,
  use: (connection: Connection) => Promise<T>,
): Promise<T> {
  const connection = await openConnection(home, clock);
  try {
    return await use(connection);
  } finally {
    connection.client.close();
  }
}
