/** A code of a code system. */
export interface Coding {
  readonly system: string;
  readonly code: string;
  readonly display: string;
}

/** A reference by identifier: what it names is no resource of any FHIR server. */
export interface Named {
  readonly identifier?: { readonly system: string; readonly value: string };
  readonly display?: string;
}

/** Who took part. */
export interface Agent {
  readonly type: { readonly coding: readonly Coding[] };
  readonly who: Named;
  readonly name?: string;
  readonly requestor: boolean;
  /** The identity of the certificate, as a URI: the log holds no network addresses. */
  readonly network?: { readonly address: string; readonly type: '5' };
  readonly purposeOfUse?: readonly { readonly coding: readonly Coding[] }[];
}

/** What it was done to. */
export interface Entity {
  readonly what: Named;
  readonly type: Coding;
  readonly role: Coding;
  readonly name: string;
  readonly description?: string;
  readonly detail?: readonly { readonly type: string; readonly valueString: string }[];
}

/** Code systems that the views use. */
export const system = {
  dicom: 'http://dicom.nema.org/resources/ontology/DCM',
  lifecycle: 'http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle',
  purpose: 'http://terminology.hl7.org/CodeSystem/v3-ActReason',
  roleType: 'http://terminology.hl7.org/CodeSystem/extra-security-role-type',
  sourceType: 'http://terminology.hl7.org/CodeSystem/security-source-type',
  entityType: 'http://terminology.hl7.org/CodeSystem/audit-entity-type',
  entityRole: 'http://terminology.hl7.org/CodeSystem/object-role',
  uri: 'urn:ietf:rfc:3986',
} as const;

export function coded(of: string, code: string, display: string): Coding {
  return { system: of, code, display };
}

/** A party of the consortium by the URI that its certificate carries. */
export function named(consortium: string, kind: string, id: string): Named {
  return {
    identifier: { system: system.uri, value: `medley://${consortium}/${kind}/${id}` },
    display: id,
  };
}

const ROLES = {
  person: coded(system.roleType, 'humanuser', 'human user'),
  application: coded(system.dicom, '110150', 'Application'),
  source: coded(system.dicom, '110153', 'Source Role ID'),
  destination: coded(system.dicom, '110152', 'Destination Role ID'),
} as const;

/** One agent of an event. `address` is the URI of a certificate, where one was used. */
export function agent(given: {
  readonly role: keyof typeof ROLES;
  readonly who: Named;
  readonly isRequestor: boolean;
  readonly address?: string;
}): Agent {
  const { role, who, isRequestor, address } = given;
  return {
    type: { coding: [ROLES[role]] },
    who,
    ...(who.display === undefined ? {} : { name: who.display }),
    requestor: isRequestor,
    ...(address === undefined ? {} : { network: { address, type: '5' } }),
  };
}
