import { SECTIONS } from './index.ts';
import type { CatalogueEntry } from './section.ts';

/** docs/errors.md: every code with what happened and what to do, one anchor a code. */
export function errorsMarkdown(): string {
  const sections = Object.entries(SECTIONS)
    .map(([title, section]) => [title, Object.entries<CatalogueEntry>(section)] as const)
    .filter(([, entries]) => entries.length > 0)
    .map(([title, entries]) => sectionMarkdown(title, entries));
  return `${HEAD}\n${sections.join('\n')}`;
}

const HEAD = `# Error codes

<!-- Made by \`npm run docs\` from the catalogue in packages/kit. A test fails when it is out of date. -->

Every failure of a Medley program carries one of these codes. A code keeps its meaning for ever. The
program prints the code, the sentence below, what and where it was, and the remedy; with \`--json\` the
same as \`{"error": {code, sentence, detail, remedy}}\`. The exit code tells scripts the group:
2 usage, 3 configuration, 4 network, 5 identity, 6 data, 7 refused by policy, 8 integrity, 9 version,
75 try again later, 130 interrupted, 1 unexpected.
`;

function sectionMarkdown(
  title: string,
  entries: readonly (readonly [string, CatalogueEntry])[],
): string {
  const rows = [...entries]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([code, { sentence, remedy, exit, grpc }]) => {
      const cells = [sentence, remedy].map((text) =>
        text.replaceAll('|', '\\|').replaceAll('\n', ' '),
      );
      return `| <a id="${code}"></a>\`${code}\` | ${cells.join(' | ')} | ${String(exit)} | ${grpc} |`;
    });
  return `## ${title}\n\n| code | what happened | what to do | exit | gRPC status |\n|---|---|---|---|---|\n${rows.join('\n')}\n`;
}
