import type { Command } from 'commander';

/** Where an operator's home is looked for when `--home` does not say. */
export const DEFAULT_HOME = '.medley/operator';

/** A command with the options that all commands share. */
export function command(parent: Command, usage: string, description: string): Command {
  return parent
    .command(usage)
    .description(description)
    .option('--home <folder>', "the operator's folder", DEFAULT_HOME)
    .option('--json', 'write the result as one JSON document', false);
}
