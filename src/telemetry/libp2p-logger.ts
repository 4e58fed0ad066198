/**
 * libp2p's own lines in our log. libp2p calls an error what is daily life on the open network (a peer that
 * left, a handshake that failed), so its errors are debug lines here and everything else is trace. Where a
 * level is off its methods are empty functions: nothing is formatted. Holds no state.
 */
import { inspect } from 'node:util'
import type { ComponentLogger, Logger } from '@libp2p/interface'
import { base32 } from 'multiformats/bases/base32'
import { base58btc } from 'multiformats/bases/base58'
import { base64 } from 'multiformats/bases/base64'
import type { Log } from '#src/telemetry/log.ts'
import { describeError } from '#src/util/errors.ts'

/** Returns the logger to pass to libp2p as `logger`; a component's name becomes the field `component`. */
export function libp2pLogger(log: Log): ComponentLogger {
  return { forComponent: (name) => componentLog(log, name) }
}

function componentLog(log: Log, name: string): Logger {
  const enabled = log.isLevelEnabled('trace')
  const at = (level: 'debug' | 'trace') => {
    if (!log.isLevelEnabled(level)) return () => {}
    const fields = { component: name }
    return (template: unknown, ...values: unknown[]) => log[level](fields, formatLine(template, values))
  }
  // Each logger needs a function of its own to carry the properties.
  const write = at('trace')
  const main = (template: unknown, ...values: unknown[]) => write(template, ...values)
  return Object.assign(main, {
    enabled,
    error: at('debug'),
    trace: write,
    newScope: (scope: string) => componentLog(log, `${name}:${scope}`),
  })
}

const bytesIn = (encode: (bytes: Uint8Array) => string) => (value: unknown) =>
  value instanceof Uint8Array ? encode(value) : String(value)

/** The letters of `@libp2p/logger`, and those of printf that libp2p uses. */
const formatters: Readonly<Record<string, (value: unknown) => string>> = {
  a: String,
  b: bytesIn((bytes) => base58btc.baseEncode(bytes)),
  c: String,
  d: String,
  e: describeError,
  f: String,
  i: String,
  j: (value) => inspect(value, { depth: 2, breakLength: Number.POSITIVE_INFINITY }),
  k: String,
  m: bytesIn((bytes) => base64.baseEncode(bytes)),
  o: (value) => inspect(value, { depth: 2, breakLength: Number.POSITIVE_INFINITY }),
  p: String,
  s: String,
  t: bytesIn((bytes) => base32.baseEncode(bytes)),
}

/** Returns the line that libp2p's template and values stand for. Never throws: a log line must not do harm. */
export function formatLine(template: unknown, values: readonly unknown[]): string {
  try {
    let used = 0
    const text =
      typeof template === 'string'
        ? template.replace(/%([a-zA-Z%])/g, (match, letter: string) => {
            if (letter === '%') return '%'
            const format = formatters[letter.toLowerCase()]
            if (format === undefined || used >= values.length) return match
            return format(values[used++])
          })
        : plain(template)
    return used === values.length ? text : [text, ...values.slice(used).map(plain)].join(' ')
  } catch {
    return String(template)
  }
}

function plain(value: unknown): string {
  if (value instanceof Error) return describeError(value)
  return typeof value === 'string'
    ? value
    : inspect(value, { depth: 2, breakLength: Number.POSITIVE_INFINITY })
}
