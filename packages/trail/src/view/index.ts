export { csvDictionary, csvRows, dictionaryMarkdown } from './csv.ts';
export { decisionOf, factsOf, siloOf, spendOf, type Fact } from './fact.ts';
export { fhirNdjson, toAuditEvent, type AuditEvent } from './fhir.ts';
export { viewLines, type ViewLine, type ViewScope } from './line.ts';
export { EVENT_MEANINGS, severityOf, type EventMeaning } from './meaning.ts';
export { readPeriod } from './period.ts';
export { cefEvent, cefMessage, syslogFrame, syslogMessage } from './siem.ts';
