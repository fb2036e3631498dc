import { pino, type Logger as PinoLogger } from 'pino';

/**
 * Structured logs as JSON lines on standard error. Fields are closed: there is no place for a row
 * value, a key or a share, so none can be written by accident.
 */
export interface LogFields {
  readonly silo?: string;
  readonly study?: string;
  readonly round?: number;
  readonly attempt?: number;
  readonly step?: string;
  readonly code?: string;
  readonly peer?: string;
  readonly ms?: number;
  readonly count?: number;
  readonly path?: string;
  readonly address?: string;
  readonly hash?: string;
  readonly serial?: string;
  readonly detail?: string;
}

export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  with(fields: LogFields): Logger;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** A logger for one process; `service` is its name. */
export function createLogger(service: string, level: LogLevel = 'info'): Logger {
  const root = pino(
    { level, base: { service }, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ dest: 2, sync: true }),
  );
  return wrap(root);
}

export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  with: () => silentLogger,
};

function wrap(log: PinoLogger): Logger {
  return {
    debug: (message, fields) => {
      log.debug(fields ?? {}, message);
    },
    info: (message, fields) => {
      log.info(fields ?? {}, message);
    },
    warn: (message, fields) => {
      log.warn(fields ?? {}, message);
    },
    error: (message, fields) => {
      log.error(fields ?? {}, message);
    },
    with: (fields) => wrap(log.child(fields)),
  };
}
