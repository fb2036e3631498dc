import type { EventType, TrailEvent } from '../event.ts';

/** What all views say about one type of event. */
export interface EventMeaning {
  /** A short sentence in the past tense, for people. */
  readonly title: string;
  /** FHIR and DICOM: created, read, updated, deleted, executed. */
  readonly action: 'C' | 'R' | 'U' | 'D' | 'E';
  readonly category: Category;
  /** How much attention it asks for where it went well; refusals and failures ask for more. */
  readonly weight: 'routine' | 'notable' | 'alarming';
}

/**
 * DICOM PS3.15 A.5 puts configuration, roles and accounts under Security Alert:
 * - `activity`: the studies' own work
 * - `configuration`, `roles`, `account`: what DICOM calls security configuration, security roles and
 *   user security attributes
 * - `alert`: somebody did what they must not
 * - `export`: data left the aggregator
 */
export type Category = 'activity' | 'configuration' | 'roles' | 'account' | 'alert' | 'export';

const meaning = (
  title: string,
  action: EventMeaning['action'],
  category: Category,
  weight: EventMeaning['weight'] = 'routine',
): EventMeaning => ({ title, action, category, weight });

/** Every type of event; a type without a line here does not compile. */
export const EVENT_MEANINGS: Readonly<Record<EventType, EventMeaning>> = {
  'consortium.created': meaning('Consortium and log created', 'C', 'configuration', 'notable'),
  'consortium.setting': meaning('Setting changed', 'U', 'configuration', 'notable'),
  'crl.published': meaning('Revocation list published', 'C', 'configuration'),
  'witness.registered': meaning('Hospital became a witness', 'C', 'configuration'),
  'silo.invited': meaning('Hospital invited', 'C', 'account'),
  'silo.requested': meaning('Hospital handed in its keys', 'C', 'account'),
  'silo.endorsed': meaning('Hospital approved by a first operator', 'U', 'account'),
  'silo.approved': meaning('Hospital approved', 'U', 'account', 'notable'),
  'silo.refused': meaning('Hospital refused', 'U', 'account', 'notable'),
  'silo.renewed': meaning('Certificate of a hospital renewed', 'U', 'account'),
  'silo.revoked': meaning('Certificate of a hospital revoked', 'D', 'account', 'alarming'),
  'operator.added': meaning('Operator added', 'C', 'account', 'notable'),
  'operator.changed': meaning('Operator changed', 'U', 'roles', 'notable'),
  'token.created': meaning('API token created', 'C', 'account', 'notable'),
  'token.revoked': meaning('API token revoked', 'D', 'account', 'notable'),
  'study.proposed': meaning('Study proposed', 'C', 'activity'),
  'charter.signed': meaning('Charter signed by a steward', 'U', 'activity', 'notable'),
  'charter.refused': meaning('Charter refused by a steward', 'U', 'activity', 'notable'),
  'charter.withdrawn': meaning('Hospital left the study', 'U', 'activity', 'notable'),
  'study.started': meaning('Study started', 'E', 'activity', 'notable'),
  'study.paused': meaning('Study paused', 'E', 'activity', 'notable'),
  'study.resumed': meaning('Study resumed', 'E', 'activity'),
  'study.stopped': meaning('Study stopped', 'E', 'activity', 'notable'),
  'study.completed': meaning('Study completed', 'E', 'activity'),
  'audit.exported': meaning('Part of the log exported', 'R', 'export', 'notable'),
  'model.exported': meaning('Model exported', 'R', 'export', 'notable'),
  'round.opened': meaning('Round opened', 'E', 'activity'),
  'privacy.spent': meaning('Privacy spent by a hospital', 'U', 'activity'),
  'round.dropped': meaning('Hospital missed a step of a round', 'E', 'activity'),
  'round.blamed': meaning('Hospital proven to break the protocol', 'E', 'alert', 'alarming'),
  'message.refused': meaning('Message refused', 'E', 'alert', 'notable'),
  'round.closed': meaning('Round closed', 'E', 'activity'),
  'model.rolledback': meaning('Round kept from moving the model', 'U', 'activity', 'notable'),
  'round.aborted': meaning('Round aborted', 'E', 'activity', 'notable'),
};

/** Severity of RFC 5424 section 6.2.1: 2 critical, 3 error, 4 warning, 5 notice, 6 informational. */
export function severityOf({ type, outcome }: TrailEvent): 2 | 3 | 4 | 5 | 6 {
  const { weight } = EVENT_MEANINGS[type];
  if (weight === 'alarming') return 2;
  if (outcome === 'failed') return 3;
  if (outcome === 'refused') return 4;
  return weight === 'notable' ? 5 : 6;
}
