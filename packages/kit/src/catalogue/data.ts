import { EXIT, type CatalogueEntry, type CatalogueSection } from './section.ts';

/** A fault of the site's own rows: it stays at the site, so the peer only learns of the refusal. */
const atSite = (sentence: string, remedy: string): CatalogueEntry => ({
  grpc: 'FAILED_PRECONDITION',
  http: 422,
  exit: EXIT.data,
  sentence,
  remedy,
});

export const DATA = {
  DATA_MAPPING_INVALID: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: EXIT.config,
    sentence: 'The mapping of the site’s columns to the study is not usable.',
    remedy: 'Mend the rule that the message names under connectors in the site configuration.',
  },
  DATA_FILE_UNREADABLE: atSite(
    'A data file cannot be read.',
    'Check that the file of this connector exists and may be read by the agent’s user.',
  ),
  DATA_FORMAT_INVALID: atSite(
    'A data file does not have the format that its connector expects.',
    'Check delimiter, quote and encoding of the connector against the file at the line named.',
  ),
  DATA_COLUMN_MISSING: atSite(
    'A column that the mapping reads is not in the file.',
    'Correct the name after "from" in the mapping, or export the file with that column.',
  ),
  DATA_COLUMN_UNMAPPED: atSite(
    'A column of the study has no rule in the site’s mapping.',
    'Add a rule for the column under columns of the connector.',
  ),
  DATA_DUPLICATE_COLUMN: atSite(
    'A column that the mapping reads appears twice in the file.',
    'Rename or drop one of the two columns in the export.',
  ),
  DATA_ROW_RAGGED: atSite(
    'A row has more or fewer cells than the header.',
    'Look at the line named for an unquoted delimiter or a broken line and export again.',
  ),
  DATA_VALUE_INVALID: atSite(
    'A cell does not hold what its column must hold.',
    'Correct the cell at the line and column named, or the mapping rule of that column.',
  ),
  DATA_NOT_FINITE: atSite(
    'A cell holds a number that is not finite.',
    'Correct the cell at the line and column named, or list its text as a missing marker.',
  ),
  DATA_OUT_OF_RANGE: atSite(
    'A number lies outside the range that the study allows.',
    'Check the unit of the column (scale in the mapping) and the cell at the line named.',
  ),
  DATA_CATEGORY_UNKNOWN: atSite(
    'A cell holds a level that the study or the mapping does not know.',
    'Add the level to map in the mapping of that column, or correct the cell at the line named.',
  ),
  DATA_MISSING_VALUE: atSite(
    'A cell that the study needs is empty.',
    'Fill in the cell, or set missing.rows to leaveOut so that such rows are not used.',
  ),
  DATA_CLASS_EMPTY: atSite(
    'One outcome class has no rows in the training or the test part.',
    'Use an extract with patients of both outcomes; this site cannot take part with this one.',
  ),
  DATA_TOO_FEW_ROWS: atSite(
    'There are fewer usable training rows than the study demands.',
    'Use a larger extract; the study’s cohort.minPatients says how many are needed.',
  ),
} as const satisfies CatalogueSection;
