/**
 * The log: one line per event, a constant message, everything that varies in fields named as in `Log`.
 * Lines are written before the call returns, by streams in this process: a worker transport cannot run in
 * a compiled executable, and a crash must not lose the lines that explain it. Holds no state that grows.
 */
import pino, { type LoggerOptions } from 'pino'
import { prettyFactory } from 'pino-pretty'
import type { LogLevel } from '#src/config/config.ts'
import { describeError, KitsuneError } from '#src/util/errors.ts'

/**
 * What a line may carry beside its message. Use the usual names before inventing one: `peer side backend cid
 * flow conn ms bytes reason err`. A client's peer ID, address or CID belongs in debug and trace lines only.
 */
export type LogFields = Readonly<Record<string, unknown>>

/** A method of `Log`: `log.warn({ backend, reason }, 'backend lost')`. The message is constant. */
export type LogMethod = (fields: LogFields, message: string) => void

/** The log as every room sees it; nothing but this file knows which library writes it. */
export interface Log {
  /** Details of a single want, frame or stream. */
  readonly trace: LogMethod
  /** Once per want. */
  readonly debug: LogMethod
  /** Start, stop, config, the state of a backend. */
  readonly info: LogMethod
  /** Degraded, and healing by itself. */
  readonly warn: LogMethod
  /** An operator must act. */
  readonly error: LogMethod
  /** Returns a log whose every line carries these fields too. */
  child(fields: LogFields): Log
  /** Whether a line of this level would be written: ask before preparing costly fields. */
  isLevelEnabled(level: Exclude<LogLevel, 'silent'>): boolean
}

export interface LogOptions {
  readonly level: LogLevel
  readonly format: 'json' | 'pretty'
  /** Stands on every line; an empty one is left out. */
  readonly region: string
  /** Stands on every JSON line, so that a fleet's mixed versions can be told apart. */
  readonly version: string
  /** Colours of the pretty format. Default: whether stdout is a terminal. */
  readonly color?: boolean
  /** Where lines go, each ending in a newline. Default: stdout, synchronously. */
  readonly destination?: { write(line: string): void }
}

/** Field names that may hold a secret, at the top of a line or one or two levels inside it. */
const secretFields = ['authorization', 'Authorization', 'privateKey', 'password']

/** Returns the log of this process. Fields that may hold secrets are written as `[redacted]`. */
export function createLog(options: LogOptions): Log {
  const stdout = options.destination ?? pino.destination({ dest: 1, sync: true })
  const settings: LoggerOptions = {
    level: options.level,
    base: { ...(options.region === '' ? {} : { region: options.region }), version: options.version },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    serializers: { err: errorFields },
    redact: {
      paths: secretFields.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]),
      censor: '[redacted]',
    },
  }
  if (options.format === 'json') return pino(settings, stdout)
  const prettify = prettyFactory({
    colorize: options.color ?? process.stdout.isTTY === true,
    ignore: 'version',
    singleLine: true,
    translateTime: 'SYS:HH:MM:ss.l',
  })
  return pino(settings, {
    write: (line: string) => {
      stdout.write(prettify(line))
    },
  })
}

/**
 * Returns what a line says about an error. A `KitsuneError` is expected trouble: its code and facts say more
 * than its stack. Any other error is shown with the stack, because it may be a bug.
 */
function errorFields(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const message = describeError(error)
  if (error instanceof KitsuneError) {
    return { code: error.code, side: error.side, message, facts: error.facts }
  }
  const code = (error as { code?: unknown }).code
  return { type: error.name, message, ...(code === undefined ? {} : { code }), stack: error.stack }
}
