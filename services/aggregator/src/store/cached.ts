import type { RoundRow } from './rows.ts';
import type { Store, Tables } from './store.ts';

/** Methods that change rows; every other one reads. */
const WRITES: ReadonlySet<string> = new Set(['put', 'touch', 'addBytes', 'append']);
/** Answers kept of one noun: bounds memory when much is asked once. */
const MOST_ANSWERS = 500;

type Noun = keyof Tables;
type Methods = Readonly<Record<string, (...args: unknown[]) => Promise<unknown>>>;
/** What is forgotten together: a noun, or the rounds that have closed. */
type Topic = Noun | 'closed';

/**
 * The store with its reads outside transactions answered from memory until something of their topic is
 * written. Sound because this process is the only writer (its lock says so). Rows that come out are
 * shared by all readers: nobody may change their bytes. Reads inside a transaction go to the database.
 * Byte counts in `rounds.newestClosed` may be older than those of `rounds.of`.
 */
export function cachedStore(store: Store): Store {
  const answers = new Map<Topic, Map<string, Promise<unknown>>>();
  const forget = (topics: Iterable<Topic>): void => {
    for (const topic of topics) answers.delete(topic);
  };
  const read = (topic: Topic, key: string, ask: () => Promise<unknown>): Promise<unknown> => {
    let known = answers.get(topic);
    if (!known || known.size >= MOST_ANSWERS)
      answers.set(topic, (known = new Map<string, Promise<unknown>>()));
    const kept = known;
    const answer = kept.get(key) ?? ask();
    kept.set(key, answer);
    answer.catch(() => kept.delete(key));
    return answer;
  };
  return {
    tables: wrapped(
      store.tables,
      (noun, name, method) =>
        (...args) =>
          WRITES.has(name)
            ? method(...args).finally(() => forget(topicsOf(noun, name, args)))
            : read(readTopic(noun, name), `${name} ${JSON.stringify(args)}`, () => method(...args)),
    ),
    transaction: async (work) => {
      const written = new Set<Topic>();
      try {
        return await store.transaction((tables) =>
          work(
            wrapped(tables, (noun, name, method) => (...args) => {
              if (WRITES.has(name))
                topicsOf(noun, name, args).forEach((topic) => written.add(topic));
              return method(...args);
            }),
          ),
        );
      } finally {
        // After the commit: whoever asked while it ran waited for it, or is asked to look again.
        forget(written);
      }
    },
    close: () => store.close(),
  };
}

function readTopic(noun: Noun, name: string): Topic {
  return noun === 'rounds' && name === 'newestClosed' ? 'closed' : noun;
}

/** A running round is written with every message; the closed ones stay as they are. */
function topicsOf(noun: Noun, name: string, [row]: readonly unknown[]): readonly Topic[] {
  const isClosed = noun === 'rounds' && name === 'put' && (row as RoundRow).step === 'closed';
  return isClosed ? [noun, 'closed'] : [noun];
}

function wrapped(
  tables: Tables,
  wrap: (
    noun: Noun,
    name: string,
    method: (...args: unknown[]) => Promise<unknown>,
  ) => (...args: unknown[]) => Promise<unknown>,
): Tables {
  const nouns = Object.entries(tables) as [Noun, Methods][];
  const made = nouns.map(([noun, methods]) => [
    noun,
    Object.fromEntries(
      Object.entries(methods).map(([name, method]) => [name, wrap(noun, name, method)]),
    ),
  ]);
  // Same nouns and methods as went in.
  return Object.fromEntries(made) as Tables;
}
