import { readYaml, type JsonSchema } from '@medley/kit';
import { DEFAULT_FLOORS, type Floors } from '@medley/study';
import {
  CONNECTORS_SCHEMA,
  siteData,
  type ConnectorConfig,
  type SiteData,
} from './connectors/site.ts';

/** Where the privacy ledger stops: ε at δ, for the data set of that name. */
export interface PrivacySettings {
  readonly dataset: string;
  readonly epsilon: number;
  readonly delta: number;
}

/** What holds where agent.yaml says nothing. */
export const DEFAULT_PRIVACY: PrivacySettings = { dataset: 'patients', epsilon: 10, delta: 1e-6 };

/** agent.yaml as written, defaults filled in. */
export interface AgentConfig {
  readonly apiVersion: 'medley/v1';
  readonly kind: 'Agent';
  readonly site: { readonly id: string; readonly name: string };
  /** What this hospital never goes below, whatever a charter says. */
  readonly policy: Floors;
  /** What the patients of this hospital's data may lose, over all studies together. */
  readonly privacy: PrivacySettings;
  readonly network: {
    /** Address of the aggregator when it moved since the enrolment. */
    readonly rounds?: string;
    /** The same for its enrolment port, where certificates are renewed. */
    readonly enrolment?: string;
  };
  readonly connectors: readonly ConnectorConfig[];
}

const floor = (minimum: number, initial: number, description: string): JsonSchema => ({
  type: 'integer',
  minimum,
  default: initial,
  description,
});

/** JSON Schema of agent.yaml. */
export const AGENT_SCHEMA: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['apiVersion', 'kind', 'site'],
  properties: {
    apiVersion: { const: 'medley/v1' },
    kind: { const: 'Agent' },
    site: {
      type: 'object',
      additionalProperties: false,
      required: ['id', 'name'],
      properties: {
        id: {
          type: 'string',
          pattern: '^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$',
          description: 'The name under which the operator invited this hospital.',
        },
        name: { type: 'string', minLength: 1, maxLength: 200, description: 'For people.' },
      },
    },
    policy: {
      type: 'object',
      additionalProperties: false,
      default: {},
      description: 'Limits of this hospital; a study that is weaker is refused.',
      properties: {
        minSilos: floor(3, DEFAULT_FLOORS.minSilos, 'Hospitals in a roster.'),
        minSurvivors: floor(
          3,
          DEFAULT_FLOORS.minSurvivors,
          'Hospitals whose updates are in any opened sum.',
        ),
        minPatients: floor(
          1,
          DEFAULT_FLOORS.minPatients,
          'Training patients that every hospital must have.',
        ),
      },
    },
    privacy: {
      type: 'object',
      additionalProperties: false,
      default: {},
      description: 'The privacy budget of this data set, over all studies; releases stop there.',
      properties: {
        dataset: {
          type: 'string',
          pattern: '^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$',
          default: DEFAULT_PRIVACY.dataset,
          description: 'Names the ledger; another name is another ledger. All connectors share it.',
        },
        epsilon: {
          type: 'number',
          minimum: 0,
          maximum: 1000,
          default: DEFAULT_PRIVACY.epsilon,
          description: 'Most that may be spent; 0 for no differentially private release at all.',
        },
        delta: {
          type: 'number',
          exclusiveMinimum: 0,
          exclusiveMaximum: 1,
          default: DEFAULT_PRIVACY.delta,
          description: 'Chance at which epsilon may fail; below one in the number of patients.',
        },
      },
    },
    network: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: {
        rounds: {
          type: 'string',
          description: 'host:port of the aggregator, instead of the one in the invitation.',
        },
        enrolment: {
          type: 'string',
          description: 'host:port of its enrolment port, where certificates are renewed.',
        },
      },
    },
    connectors: { ...CONNECTORS_SCHEMA, minItems: 0, default: [] },
  },
};

/** Reads agent.yaml. Throws CONFIG_UNREADABLE and CONFIG_INVALID with file:line. */
export async function readConfig(file: string): Promise<AgentConfig> {
  return (await readYaml<AgentConfig>(file, AGENT_SCHEMA)).value;
}

/** Where the rows come from; `folder` is the home, against which relative paths are taken. */
export function siteOf(config: AgentConfig, folder: string): SiteData {
  return siteData(folder, config.connectors);
}

/** The agent.yaml that `init` writes: every setting with its default and why one would change it. */
export function configTemplate(id: string, name: string): string {
  return `# medley-agent: this hospital's settings. Keys and certificates are in other files of this folder.
apiVersion: medley/v1
kind: Agent
site:
  id: ${id} # the name under which the operator invited this hospital
  name: ${JSON.stringify(name)}

# Limits of this hospital. A study that asks for less is refused, whoever proposed it.
policy:
  minSilos: ${String(DEFAULT_FLOORS.minSilos)} # hospitals in a study's roster
  minSurvivors: ${String(DEFAULT_FLOORS.minSurvivors)} # hospitals whose updates are in any sum that is opened
  minPatients: ${String(DEFAULT_FLOORS.minPatients)} # training patients that every hospital must have

# What patients may lose to all studies together; medley-agent budget shows what is spent.
privacy:
  dataset: ${DEFAULT_PRIVACY.dataset} # names the ledger: keep the name for as long as the patients are the same
  epsilon: ${String(DEFAULT_PRIVACY.epsilon)} # releases stop here
  delta: ${DEFAULT_PRIVACY.delta.toFixed(6)} # below one in the number of patients

# Where the rows are. They are read here and never leave. Then: medley-agent data check
connectors: []
#  - id: registry
#    kind: csv
#    file: registry.csv # relative to this folder
#    columns:
#      age: { from: AGE_YEARS }
`;
}
