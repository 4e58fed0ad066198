import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { parseAdminListen, parseAnnounce, parseBackendMultiaddr } from '#src/config/addresses.ts'
import { maskBackends, parseBackends } from '#src/config/backends.ts'
import { type Environment, type Machine, variableKeys } from '#src/config/environment.ts'
import { parseListen } from '#src/config/listen.ts'
import { loadConfig } from '#src/config/load.ts'
import { schema } from '#src/config/schema.ts'
import * as values from '#src/config/values.ts'

const machine: Machine = {
  readFile: () => {
    throw new Error('no such file')
  },
  exists: () => false,
  ipv6: true,
  isTerminal: false,
  cwd: '/srv',
}

/** Texts that look a little like what is expected, so that more than the first check is reached. */
const texts = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary' }),
  fc
    .array(
      fc.constantFrom(
        '/',
        'ip4',
        'ip6',
        'tcp',
        'ws',
        'p2p',
        'http://',
        '@',
        ':',
        ',',
        ';',
        '0',
        '10.0.0.1',
        '::',
        '4001',
        'MiB',
        '/s',
        's',
        '%',
        '.',
        'off',
        '=',
      ),
      { maxLength: 14 },
    )
    .map((parts) => parts.join('')),
)

test('durations and sizes survive being written and read', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 2 ** 31 - 1 }),
      fc.integer({ min: 0, max: 2 ** 50 }),
      (ms, bytes) => {
        expect(values.parseDuration(values.formatDuration(ms))).toEqual({ ok: true, value: ms })
        expect(values.parseSize(values.formatSize(bytes))).toEqual({ ok: true, value: bytes })
      },
    ),
  )
})

test('rates, budgets and counts survive being written and read', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1_000_000 }), (value) => {
      expect(values.parseRate(`${value}/s`)).toEqual({ ok: true, value })
      expect(values.parseBudget(`${value}/min`)).toEqual({ ok: true, value })
      expect(values.parseBandwidth(`${values.formatSize(value)}/s`)).toEqual({ ok: true, value })
      expect(values.parseCount(String(value), 1, 1_000_000)).toEqual({ ok: true, value })
    }),
  )
})

test('a bare number is never a quantity', () => {
  fc.assert(
    fc.property(fc.nat(), (number) => {
      const parsers = [values.parseDuration, values.parseSize, values.parseRate, values.parseBandwidth]
      for (const parse of [...parsers, values.parseBudget]) expect(parse(String(number)).ok).toBe(false)
    }),
  )
})

test('listen addresses of any host and port are taken as they are', () => {
  const host = fc.oneof(
    fc.ipV4().map((ip) => `/ip4/${ip}`),
    fc.constantFrom('/ip6/::', '/ip6/::1', '/ip6/fd00::1'),
  )
  fc.assert(
    fc.property(host, fc.integer({ min: 0, max: 65_535 }), fc.constantFrom('', '/ws'), (where, port, ws) => {
      const text = `${where}/tcp/${port}${ws}`
      expect(parseListen(text)).toEqual({ ok: true, value: text })
    }),
  )
})

test('what was read once is read the same again', () => {
  fc.assert(
    fc.property(texts, (text) => {
      for (const parse of [parseListen, parseAnnounce, parseBackendMultiaddr]) {
        const parsed = parse(text)
        if (parsed.ok) expect(parse(parsed.value)).toEqual(parsed)
        else expect(parsed.reason).not.toBe('')
      }
      const admin = parseAdminListen(text)
      expect(admin.ok || admin.reason !== '').toBe(true)
      const { value, faults } = parseBackends(text)
      expect(value.length + faults.length).toBe(text.split(',').length)
    }),
    { numRuns: 2000 },
  )
})

test('no password is shown, wherever it stands', () => {
  const secret = 'sEcReT7'
  fc.assert(
    fc.property(texts, texts, texts, (before, inside, after) => {
      const text = `${before},http://u:${inside}${secret}@${after}`
      expect(maskBackends(text)).not.toContain(secret)
      expect(JSON.stringify(parseBackends(text).faults)).not.toContain(secret)
    }),
    { numRuns: 2000 },
  )
})

test('no environment makes the loader throw, and each fault has a rule, a reason and an example', () => {
  const names = variableKeys.flatMap((key) => [schema[key].name, `${schema[key].name}_FILE`])
  const name = fc.oneof(
    fc.constantFrom(...names),
    fc.string().map((tail) => `KITSUNE_${tail}`),
  )
  fc.assert(
    fc.property(fc.dictionary(name, texts, { maxKeys: 8 }), (env: Environment) => {
      const loaded = loadConfig(env, machine)
      if (loaded.kind === 'ok') return
      expect(loaded.problems.length).toBeGreaterThan(0)
      for (const { variable, message, allowed, example } of loaded.problems) {
        expect([variable, message, allowed, example]).not.toContain('')
      }
    }),
    { numRuns: 1000 },
  )
})
