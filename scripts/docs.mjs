// `npm run docs`: writes the pages of docs/ that are made from code.
import { writeFileSync } from 'node:fs';
import { errorsMarkdown } from '@medley/kit';
import { dictionaryMarkdown, eventsMarkdown } from '@medley/trail';
import { SWEEP } from '../packages/autodiff/dist/ops/sweep/index.js';
import { countByOperator, operatorsMarkdown } from '../packages/autodiff/dist/ops/table.js';

const write = (name, text) => writeFileSync(new URL(`../docs/${name}`, import.meta.url), text);
write('errors.md', errorsMarkdown());
write('events.md', eventsMarkdown());
write('audit/data-dictionary.md', dictionaryMarkdown());
write('operators.md', operatorsMarkdown(countByOperator(SWEEP)));
