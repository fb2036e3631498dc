/**
 * Makes the five sites' files from the two public data sets, byte for byte the same each time:
 *
 *   node deploy/demo/data/make.mjs FOLDER     FOLDER holds rotterdam.csv and gbsg.csv
 *
 * Every site gets the dialect of its own imaginary information system; no patient is changed.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Rows of one of the source files: header names to cell texts. The sources quote nothing. */
function rowsOf(text) {
  const [header, ...lines] = text.trimEnd().split(/\r?\n/);
  const names = header.split(',');
  return lines.map((line) => {
    const cells = line.split(',');
    return Object.fromEntries(names.map((name, i) => [name, cells[i]]));
  });
}

const coded = (levels) => (text) => {
  if (!Object.hasOwn(levels, text)) throw new Error(`unknown level in the source data: ${text}`);
  return levels[text];
};
const same = (text) => text;

/** One site: which patients, and per column its header, the source column and the site's coding. */
const SITES = {
  'rotterdam-a.csv': {
    years: [1978, 1985],
    delimiter: ',',
    columns: [
      ['patient', 'pid', same],
      ['year', 'year', same],
      ['age', 'age', same],
      ['meno', 'meno', same],
      ['size', 'size', same],
      ['grade', 'grade', same],
      ['nodes', 'nodes', same],
      ['pgr', 'pgr', same],
      ['er', 'er', same],
      ['hormon', 'hormon', same],
      ['chemo', 'chemo', same],
      ['rtime', 'rtime', same],
      ['recur', 'recur', same],
      ['dtime', 'dtime', same],
      ['death', 'death', same],
    ],
  },
  'rotterdam-b.csv': {
    years: [1986, 1987],
    delimiter: ';',
    columns: [
      ['patientnummer', 'pid', same],
      ['operatiejaar', 'year', same],
      ['leeftijd', 'age', same],
      ['menopauze', 'meno', coded({ 0: 'pre', 1: 'post' })],
      ['tumorklasse', 'size', coded({ '<=20': 'T1', '20-50': 'T2', '>50': 'T3' })],
      ['graad', 'grade', same],
      ['klieren', 'nodes', same],
      ['pgr_fmol_l', 'pgr', same],
      ['er_fmol_l', 'er', same],
      ['hormoontherapie', 'hormon', coded({ 0: 'nee', 1: 'ja' })],
      ['chemotherapie', 'chemo', coded({ 0: 'nee', 1: 'ja' })],
      ['recidief', 'recur', coded({ 0: 'nee', 1: 'ja' })],
      ['dagen_tot_recidief', 'rtime', same],
      ['overleden', 'death', coded({ 0: 'nee', 1: 'ja' })],
      ['dagen_tot_overlijden', 'dtime', same],
    ],
  },
  'rotterdam-c.tsv': {
    years: [1988, 1989],
    delimiter: '\t',
    columns: [
      ['Record ID', 'pid', same],
      ['Year of surgery', 'year', same],
      ['Age (years)', 'age', same],
      ['Menopausal status', 'meno', coded({ 0: 'premenopausal', 1: 'postmenopausal' })],
      ['Tumour size', 'size', coded({ '<=20': '"0-2 cm"', '20-50': '"2-5 cm"', '>50': '">5 cm"' })],
      ['Tumour grade', 'grade', coded({ 2: 'II', 3: 'III' })],
      ['Positive nodes', 'nodes', same],
      ['PgR', 'pgr', same],
      ['ER', 'er', same],
      ['Endocrine therapy', 'hormon', coded({ 0: 'No', 1: 'Yes' })],
      ['Chemotherapy', 'chemo', coded({ 0: 'No', 1: 'Yes' })],
      ['Relapse', 'recur', coded({ 0: 'No', 1: 'Yes' })],
      ['Relapse-free days', 'rtime', same],
      ['Deceased', 'death', coded({ 0: 'No', 1: 'Yes' })],
      ['Days observed', 'dtime', same],
    ],
  },
  'rotterdam-d.csv': {
    years: [1990, 1993],
    delimiter: ',',
    // The byte order mark that a spreadsheet program leaves in its exports.
    prefix: '\ufeff',
    columns: [
      ['id', 'pid', same],
      ['surgery_year', 'year', same],
      ['age_at_surgery', 'age', same],
      ['postmenopausal', 'meno', coded({ 0: 'FALSE', 1: 'TRUE' })],
      ['size_class_mm', 'size', coded({ '<=20': 'up to 20', '20-50': '21 to 50', '>50': 'over 50' })],
      ['grade', 'grade', same],
      ['nodes_positive', 'nodes', same],
      ['pgr_pmol_l', 'pgr', (text) => String(Number(text) / 1000)],
      ['er_pmol_l', 'er', (text) => String(Number(text) / 1000)],
      ['tamoxifen', 'hormon', coded({ 0: 'FALSE', 1: 'TRUE' })],
      ['chemo', 'chemo', coded({ 0: 'FALSE', 1: 'TRUE' })],
      ['relapse_day', 'rtime', same],
      ['relapsed', 'recur', coded({ 0: 'FALSE', 1: 'TRUE' })],
      ['last_seen_day', 'dtime', same],
      ['died', 'death', coded({ 0: 'FALSE', 1: 'TRUE' })],
    ],
  },
  'gbsg.csv': {
    delimiter: ';',
    encoding: 'latin1',
    columns: [
      ['Patientennummer', 'pid', same],
      ['Alter', 'age', same],
      ['Menopause', 'meno', coded({ 0: 'prä', 1: 'post' })],
      ['Tumorgröße_mm', 'size', same],
      ['Grading', 'grade', coded({ 1: 'G1', 2: 'G2', 3: 'G3' })],
      ['Befallene_Lymphknoten', 'nodes', same],
      ['Progesteronrezeptor', 'pgr', same],
      ['Östrogenrezeptor', 'er', same],
      ['Hormontherapie', 'hormon', coded({ 0: 'nein', 1: 'ja' })],
      ['Rezidiv_oder_Tod', 'status', coded({ 0: 'nein', 1: 'ja' })],
      ['Tage', 'rfstime', same],
    ],
  },
};

/** The five files, name to bytes, from the texts of the two source files. */
export function makeFiles(rotterdam, gbsg) {
  const patients = { rotterdam: rowsOf(rotterdam), gbsg: rowsOf(gbsg) };
  return Object.fromEntries(
    Object.entries(SITES).map(([name, site]) => {
      const rows = site.years
        ? patients.rotterdam.filter(
            ({ year }) => Number(year) >= site.years[0] && Number(year) <= site.years[1],
          )
        : patients.gbsg;
      const lines = rows.map((row) => site.columns.map(([, from, code]) => code(row[from])));
      const text = [site.columns.map(([header]) => header), ...lines]
        .map((cells) => `${cells.join(site.delimiter)}\n`)
        .join('');
      return [name, Buffer.from((site.prefix ?? '') + text, site.encoding ?? 'utf8')];
    }),
  );
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const folder = process.argv[2];
  if (!folder) {
    console.error('usage: node deploy/demo/data/make.mjs FOLDER');
    process.exit(2);
  }
  const read = (name) => readFileSync(join(folder, name), 'utf8');
  for (const [name, bytes] of Object.entries(makeFiles(read('rotterdam.csv'), read('gbsg.csv')))) {
    writeFileSync(new URL(name, import.meta.url), bytes);
    console.log(`${name}: ${bytes.length} bytes`);
  }
}
