import { EXIT, type CatalogueSection } from './section.ts';

/** The agent at a hospital: its home, its enrolment, and why it refuses work. */
export const AGENT = {
  AGENT_HOME_MISSING: {
    grpc: 'FAILED_PRECONDITION',
    http: 404,
    exit: EXIT.config,
    sentence: 'There is no agent in that folder.',
    remedy:
      'Run medley-agent init --site ID --name NAME first, or name the right folder with --home.',
  },
  AGENT_HOME_EXISTS: {
    grpc: 'ALREADY_EXISTS',
    http: 409,
    exit: EXIT.usage,
    sentence: 'That folder already holds an agent.',
    remedy: 'Edit its agent.yaml, or choose another folder with --home.',
  },
  AGENT_NOT_ENROLLED: {
    grpc: 'FAILED_PRECONDITION',
    http: 409,
    exit: EXIT.identity,
    sentence: 'This hospital is not enrolled in a consortium yet.',
    remedy: 'Ask the operator for an invitation and run medley-agent enroll TOKEN.',
  },
  AGENT_ENROLLED: {
    grpc: 'ALREADY_EXISTS',
    http: 409,
    exit: EXIT.usage,
    sentence: 'This hospital is enrolled already.',
    remedy: 'Nothing needs to be done; for another consortium use another folder with --home.',
  },
  AGENT_SITE_MISMATCH: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: EXIT.identity,
    sentence: 'The invitation is for another hospital than this agent.',
    remedy: 'Compare site.id in agent.yaml with the name that the operator invited.',
  },
  AGENT_RUNNING: {
    grpc: 'ALREADY_EXISTS',
    http: 409,
    exit: EXIT.usage,
    sentence: 'Another agent runs with this folder.',
    remedy: 'Stop the other one first: two agents with one identity would contradict each other.',
  },
  AGENT_KEY_EXPOSED: {
    grpc: 'FAILED_PRECONDITION',
    http: 409,
    exit: EXIT.identity,
    sentence: 'A private file can be read by other users of this machine.',
    remedy:
      'Run chmod 600 on the file that is named; if others may have read it, enrol again with new keys.',
  },
  AGENT_NO_DATA: {
    grpc: 'FAILED_PRECONDITION',
    http: 409,
    exit: EXIT.config,
    sentence: 'No source of patient data is configured.',
    remedy: 'Add a connector to agent.yaml and run medley-agent data check.',
  },
  AGENT_NO_ROUND: {
    grpc: 'FAILED_PRECONDITION',
    http: 409,
    exit: EXIT.policy,
    sentence: 'This hospital has verified no round of the study yet.',
    remedy: 'Let medley-agent run until the first round is closed, then ask again.',
  },
  AGENT_CONFIRMATION: {
    grpc: 'FAILED_PRECONDITION',
    http: 409,
    exit: EXIT.policy,
    sentence: 'The decision was not confirmed, so nothing was signed.',
    remedy: 'Read the summary and answer yes, or pass --yes where nobody can answer.',
  },
  AGENT_STATE_INVALID: {
    grpc: 'DATA_LOSS',
    http: 500,
    exit: EXIT.integrity,
    sentence: 'A file that the agent keeps for itself is damaged.',
    remedy: 'Restore it from a backup; if it belongs to a round, remove it and sit that round out.',
  },
  ENROLMENT_PENDING: {
    grpc: 'FAILED_PRECONDITION',
    http: 409,
    exit: EXIT.temporary,
    sentence: 'The operator has not decided on the enrolment yet.',
    remedy: 'Read the six words to the operator by telephone, then run medley-agent enroll again.',
  },
  ENROLMENT_REFUSED: {
    grpc: 'PERMISSION_DENIED',
    http: 403,
    exit: EXIT.policy,
    sentence: 'The operator refused the enrolment.',
    remedy: 'Clear up the reason that is named with the operator and ask for a new invitation.',
  },
  STUDY_NOT_SIGNED: {
    grpc: 'FAILED_PRECONDITION',
    http: 409,
    exit: EXIT.policy,
    sentence: 'This hospital has not signed the charter of that study.',
    remedy: 'Read it with medley-agent study show ID and sign or refuse it.',
  },
  STUDY_CHANGED: {
    grpc: 'FAILED_PRECONDITION',
    http: 409,
    exit: EXIT.integrity,
    sentence: 'The aggregator offers other documents than this hospital signed.',
    remedy: 'Do not go on; ask the operator why, and keep the folder of the study as evidence.',
  },
  STUDY_OUTSIDER: {
    grpc: 'FAILED_PRECONDITION',
    http: 409,
    exit: EXIT.policy,
    sentence: 'The charter does not name this hospital with its own key.',
    remedy: 'Ask the operator to propose the study again with the enrolled hospitals.',
  },
  ROUND_SESSION_MISMATCH: {
    grpc: 'FAILED_PRECONDITION',
    http: 409,
    exit: EXIT.integrity,
    sentence: 'The aggregator describes another round than the signed charter does.',
    remedy:
      'Compare the versions of agent and aggregator; if they agree, keep the log as evidence.',
  },
  ROUND_MODEL_MISMATCH: {
    grpc: 'FAILED_PRECONDITION',
    http: 409,
    exit: EXIT.integrity,
    sentence: 'The round starts from another model than the round before ended with.',
    remedy: 'Keep the log as evidence and compare the audit trail with the other hospitals.',
  },
  ROUND_MODEL_UNPROVEN: {
    grpc: 'FAILED_PRECONDITION',
    http: 409,
    exit: EXIT.temporary,
    sentence: 'Nothing has shown this hospital yet where the model of the round comes from.',
    remedy:
      'Wait for the next round: the agent takes part again once the aggregator proves the last one.',
  },
  ROUND_STATE_LOST: {
    grpc: 'FAILED_PRECONDITION',
    http: 409,
    exit: EXIT.temporary,
    sentence:
      'This hospital did not take the earlier steps of the attempt, so it cannot take this one.',
    remedy: 'Wait for the next round; the agent takes part in it by itself.',
  },
  ROUND_GIVEN_UP: {
    grpc: 'FAILED_PRECONDITION',
    http: 409,
    exit: EXIT.temporary,
    sentence: 'This hospital has ended the attempt for itself and does not take it up again.',
    remedy: 'Wait for the next attempt or round; the reason is in the log of the agent.',
  },
  ROUND_PROOF_INVALID: {
    grpc: 'FAILED_PRECONDITION',
    http: 409,
    exit: EXIT.integrity,
    sentence: 'The aggregator did not prove the result of a round.',
    remedy:
      'Do not use later results of the study; keep the log as evidence and verify the audit trail.',
  },
  ROUND_RESULT_MISMATCH: {
    grpc: 'FAILED_PRECONDITION',
    http: 409,
    exit: EXIT.integrity,
    sentence: 'The model that follows from the sum is not the one that the aggregator recorded.',
    remedy:
      'Do not use later results of the study; keep the log as evidence and compare with the other hospitals.',
  },
  ROUND_LOG_FORKED: {
    grpc: 'FAILED_PRECONDITION',
    http: 409,
    exit: EXIT.integrity,
    sentence: 'The audit log shows this hospital another past than it showed before.',
    remedy: 'Keep the log as evidence and compare checkpoints with the other hospitals.',
  },
} as const satisfies CatalogueSection;
