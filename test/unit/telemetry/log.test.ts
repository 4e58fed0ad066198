import { expect, test } from 'bun:test'
import { createLog, type LogOptions } from '#src/telemetry/log.ts'
import { KitsuneError } from '#src/util/errors.ts'

function capture(options: Partial<LogOptions> = {}) {
  const lines: string[] = []
  const log = createLog({
    level: 'info',
    format: 'json',
    region: 'fra',
    version: '1.2.3',
    destination: { write: (line) => lines.push(line) },
    ...options,
  })
  const last = () => JSON.parse(lines.at(-1) ?? '{}') as Record<string, unknown>
  return { log, lines, last }
}

test('a line is one JSON object with level, time, region, version, fields and message', () => {
  const { log, lines, last } = capture()
  log.info({ backend: 'b1', ms: 3 }, 'backend ready')
  expect(lines.length).toBe(1)
  expect(lines[0]).toEndWith('}\n')
  expect(last()).toMatchObject({
    level: 'info',
    region: 'fra',
    version: '1.2.3',
    backend: 'b1',
    ms: 3,
    msg: 'backend ready',
  })
  expect(Date.parse(String(last().time))).toBeGreaterThan(0)
  expect(last()).not.toHaveProperty('pid')
  expect(last()).not.toHaveProperty('hostname')
})

test('what is below the level is not written', () => {
  const { log, lines } = capture({ level: 'warn' })
  log.info({}, 'a')
  log.debug({}, 'b')
  expect(lines).toEqual([])
  log.warn({}, 'c')
  expect(lines.length).toBe(1)
  expect([log.isLevelEnabled('info'), log.isLevelEnabled('error')]).toEqual([false, true])
  const silent = capture({ level: 'silent' })
  silent.log.error({}, 'd')
  expect(silent.lines).toEqual([])
})

test('a child adds its fields to every line', () => {
  const { log, last } = capture()
  log.child({ backend: 'b1' }).child({ flow: 'retrieval' }).warn({ reason: 'x' }, 'lost')
  expect(last()).toMatchObject({ region: 'fra', backend: 'b1', flow: 'retrieval', reason: 'x' })
})

test('secrets are never written, wherever they stand', () => {
  for (const format of ['json', 'pretty'] as const) {
    const { log, lines } = capture({ format, color: false })
    const authorization = 'Bearer s3cret'
    log.info({ authorization, headers: { authorization } }, 'one')
    log.child({ authorization }).info({ a: { b: { Authorization: authorization } } }, 'two')
    const err = new KitsuneError('x', 'y', { facts: { authorization, privateKey: 's3cret' } })
    log.error({ err }, 'three')
    expect(lines.length).toBe(3)
    expect(lines.join('')).not.toContain('s3cret')
    expect(lines[0]).toContain('[redacted]')
  }
})

test('errors: ours by code and facts, others with their stack', () => {
  const { log, last } = capture()
  const cause = new Error('ECONNREFUSED')
  const facts = { url: 'http://b' }
  log.warn({ err: new KitsuneError('rpc-x', 'no answer', { side: 'backend', facts, cause }) }, 'lost')
  expect(last().err).toEqual({ code: 'rpc-x', side: 'backend', message: 'no answer: ECONNREFUSED', facts })
  log.error({ err: Object.assign(new TypeError('bug'), { code: 'E1' }) }, 'broken')
  expect(last().err).toMatchObject({ type: 'TypeError', message: 'bug', code: 'E1' })
  expect((last().err as { stack: string }).stack).toContain('log.test.ts')
  log.error({ err: 'just text' }, 'broken')
  expect(last().err).toBe('just text')
})

test('pretty: one readable line, with the region', () => {
  const { log, lines } = capture({ format: 'pretty', color: false })
  log.info({ backend: 'b1', lanes: { up: 1 } }, 'backend ready')
  expect(lines.length).toBe(1)
  expect(lines[0]).toMatch(/^\[\d\d:\d\d:\d\d\.\d{3}\] INFO: backend ready .*"region":"fra".*\n$/)
  expect(lines[0]).toContain('"backend":"b1"')
  expect(lines[0]).not.toContain('\u001b[')
})

test('an empty region is left out', () => {
  const { log, last } = capture({ region: '' })
  log.info({}, 'x')
  expect(last()).not.toHaveProperty('region')
})
