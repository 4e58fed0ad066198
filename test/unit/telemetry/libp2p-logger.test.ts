import { expect, test } from 'bun:test'
import type { LogLevel } from '#src/config/config.ts'
import { formatLine, libp2pLogger } from '#src/telemetry/libp2p-logger.ts'
import { createLog } from '#src/telemetry/log.ts'

function capture(level: LogLevel) {
  const lines: Record<string, unknown>[] = []
  const destination = { write: (line: string) => lines.push(JSON.parse(line)) }
  const log = createLog({ level, format: 'json', region: '', version: '', destination })
  return { lines, logger: libp2pLogger(log).forComponent('libp2p:tcp') }
}

/** A value that must not be turned into text. */
function untouchable() {
  let touched = 0
  return { touched: () => touched, toString: () => `touched ${++touched}` }
}

test('errors are debug lines, the rest is trace', () => {
  const { lines, logger } = capture('trace')
  logger('dialing %s', 'x')
  logger.error('failed - %e', new Error('reset'))
  logger.trace('frame %d', 3)
  logger.newScope('listener')('closed')
  expect(lines.map(({ level, component, msg }) => [level, component, msg])).toEqual([
    ['trace', 'libp2p:tcp', 'dialing x'],
    ['debug', 'libp2p:tcp', 'failed - reset'],
    ['trace', 'libp2p:tcp', 'frame 3'],
    ['trace', 'libp2p:tcp:listener', 'closed'],
  ])
  expect(logger.enabled).toBe(true)
})

test('what is off is not formatted', () => {
  const value = untouchable()
  const { lines, logger } = capture('info')
  logger('%p', value)
  logger.error('%p', value)
  logger.trace('%p', value)
  logger.newScope('x').error('%p', value)
  expect([lines.length, value.touched(), logger.enabled]).toEqual([0, 0, false])
  const debug = capture('debug')
  debug.logger('%p', value)
  debug.logger.trace('%p', value)
  expect([debug.lines.length, value.touched()]).toEqual([0, 0])
  debug.logger.error('%p', value)
  expect(debug.lines[0]).toMatchObject({ level: 'debug', msg: 'touched 1' })
})

test('two components do not share their loggers', () => {
  const components = libp2pLogger(
    createLog({ level: 'info', format: 'json', region: '', version: '', destination: { write: () => {} } }),
  )
  expect(components.forComponent('a')).not.toBe(components.forComponent('b'))
})

test.each([
  ['%b', [Uint8Array.of(1, 2, 3)], 'Ldp'],
  ['%t', [Uint8Array.of(1, 2, 3)], 'aebag'],
  ['%m', [Uint8Array.of(1, 2, 3)], 'AQID'],
  ['%a and %p', ['/ip4/1.2.3.4', undefined], '/ip4/1.2.3.4 and undefined'],
  ['%b', [undefined], 'undefined'],
  ['%e', [new Error('a', { cause: new Error('b') })], 'a: b'],
  ['%o', [{ a: 1 }], '{ a: 1 }'],
  ['100%% of %s', ['it'], '100% of it'],
  ['%s %s', ['one'], 'one %s'],
  ['%z', [], '%z'],
  ['more', ['a', new Error('b')], 'more a b'],
])('%s is formatted', (template, values, text) => {
  expect(formatLine(template, values).replaceAll('\n', '')).toBe(text)
})

test('anything goes for a template, and nothing throws', () => {
  expect(formatLine(new Error('x'), [])).toBe('x')
  expect(formatLine(undefined, [])).toBe('undefined')
  const hostile = {
    toString: () => {
      throw new Error('no')
    },
  }
  expect(formatLine('peer %p', [hostile])).toBe('peer %p')
})
