import { parseDocument, type Document } from 'yaml';
import { MedleyError, readText, writeDurably } from '@medley/kit';

/** A YAML file with its comments. Throws DEMO_SILOS_INVALID when it is not YAML. */
export async function readDocument(file: string): Promise<Document> {
  const document = parseDocument(await readText(file));
  const [fault] = document.errors;
  if (fault) throw new MedleyError('DEMO_SILOS_INVALID', `${file}: ${fault.message}`);
  return document;
}

/** Changes a YAML file as a person would with an editor: comments and order stay. */
export async function editDocument(file: string, edit: (yaml: Document) => void): Promise<void> {
  const document = await readDocument(file);
  edit(document);
  await writeDurably(file, document.toString());
}
