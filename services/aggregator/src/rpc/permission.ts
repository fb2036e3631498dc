import type { OperatorRole, TokenScope } from '../store/rows.ts';

/** Who may call a method. */
export type Permission =
  /** The enrolment listener: no certificate, so that nothing but a signed request counts. */
  | { readonly caller: 'anyone' }
  | { readonly caller: 'silo' }
  | {
      readonly caller: 'operator';
      /** The account needs one of them. */
      readonly roles: readonly OperatorRole[];
      /** What a token needs; absent where a certificate is asked for, as for every approval. */
      readonly scope?: TokenScope;
    };

/** Every role there is, in the order of docs. */
export const OPERATOR_ROLES = ['viewer', 'scientist', 'operator', 'auditor', 'admin'] as const;
/** Every scope there is. */
export const TOKEN_SCOPES = ['read', 'studies', 'models', 'invitations'] as const;

const ANYONE: Permission = { caller: 'anyone' };
const SILO: Permission = { caller: 'silo' };

const operator = (roles: readonly OperatorRole[], scope?: TokenScope): Permission => ({
  caller: 'operator',
  roles,
  ...(scope && { scope }),
});

const ALL: readonly OperatorRole[] = OPERATOR_ROLES;
const READ = operator(ALL, 'read');
const ENROLS = operator(['operator']);
const RUNS = operator(['operator', 'scientist'], 'studies');
const TAKES = operator(['scientist'], 'models');
const ADMIN = operator(['admin']);
const LOOKS = operator(['admin', 'auditor']);

/** Who may call what. A method that is not here cannot be called at all. */
export const PERMISSIONS: Readonly<Record<string, Permission>> = {
  'Enrolment.requestEnrolment': ANYONE,
  'Enrolment.collectEnrolment': ANYONE,
  'Enrolment.renewCertificate': ANYONE,
  'Enrolment.getRevocations': ANYONE,
  'Rounds.attend': SILO,
  'Rounds.listStudies': SILO,
  'Rounds.getStudy': SILO,
  'Rounds.signCharter': SILO,
  'Rounds.refuseCharter': SILO,
  'Rounds.leaveStudy': SILO,
  'Rounds.fetchBlob': SILO,
  'Rounds.advertise': SILO,
  'Rounds.share': SILO,
  'Rounds.submit': SILO,
  'Rounds.complain': SILO,
  'Rounds.confirm': SILO,
  'Rounds.release': SILO,
  'Rounds.withdraw': SILO,
  'Rounds.proveLog': SILO,
  'Rounds.cosignCheckpoint': SILO,
  'Admin.listSilos': READ,
  'Admin.getStudyStatus': READ,
  'Admin.watchStudy': READ,
  'Admin.listAllStudies': READ,
  'Admin.invite': operator(['operator'], 'invitations'),
  'Admin.getEnrolment': operator(['operator', 'auditor']),
  'Admin.approveSilo': ENROLS,
  'Admin.refuseSilo': ENROLS,
  'Admin.getCertificate': ENROLS,
  'Admin.revokeSilo': ENROLS,
  'Admin.listRevocations': operator(ALL, 'read'),
  'Admin.publishRevocations': ENROLS,
  'Admin.listOperators': LOOKS,
  'Admin.addOperator': ADMIN,
  'Admin.changeOperator': ADMIN,
  'Admin.createToken': operator(ALL),
  'Admin.listTokens': LOOKS,
  'Admin.revokeToken': operator(ALL),
  'Admin.proposeStudy': operator(['scientist'], 'studies'),
  'Admin.startStudy': RUNS,
  'Admin.pauseStudy': RUNS,
  'Admin.resumeStudy': RUNS,
  'Admin.stopStudy': RUNS,
  'Admin.replayRound': operator(['operator', 'auditor']),
  'Admin.recordExport': operator(['operator', 'auditor', 'admin']),
  'Admin.getModel': TAKES,
  'Admin.fetchModel': TAKES,
};

/** Methods whose calls stay open, so that they must end when the caller's admission does. */
export const STREAMS: ReadonlySet<string> = new Set([
  'Rounds.attend',
  'Rounds.fetchBlob',
  'Rounds.submit',
  'Admin.watchStudy',
  'Admin.proposeStudy',
  'Admin.fetchModel',
]);
