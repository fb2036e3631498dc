import { InvalidArgumentError, type Command } from 'commander';

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

/** Reads an option as a whole number in [from, to]; anything else is a fault of usage. */
export function wholeNumber(from: number, to: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d{1,9}$/.test(text) && value >= from && value <= to) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${from} to ${to}.`);
  };
}

/** Reads an option as words between commas. */
export function wordList(text: string): string[] {
  const words = text.split(',').map((word) => word.trim());
  if (words.every((word) => /^[a-z]+$/.test(word))) return words;
  throw new InvalidArgumentError('It must be words between commas.');
}
