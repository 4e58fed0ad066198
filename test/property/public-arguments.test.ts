import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { rpcCommands } from '#src/config/rpc-allow.ts'
import { knowsHash } from '#src/content/digest.ts'
import { parseRefsQuery } from '#src/http/refs-query.ts'
import { parseLookup } from '#src/http/routing-v1.ts'
import { type ForwardedCommand, parseCall } from '#src/http/rpc-commands.ts'
import { publicWords } from '#src/rpc/public-words.ts'

const cids = [
  'QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N',
  'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy',
  'bafkqablimvwgy3y',
]
const peer = '12D3KooWEEDqSX1dBf4AnwpXoVNccGW7MTJdGyqE8MD2rPAJNBpF'

/** Texts near what is expected, so that more than the first check is reached. */
const near = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        ...cids,
        peer,
        '/',
        '//',
        '/ipfs/',
        '/ipns/',
        '/pk/',
        'ipfs://',
        'ipns:',
        'http://',
        '.',
        '..',
      ),
      fc.constantFrom(
        'a',
        'b c',
        '%2e',
        '%2f',
        '?',
        '#',
        '&',
        '=',
        '\0',
        '\n',
        '\\',
        ':',
        '@',
        'example.org',
        'ü',
      ),
      fc.string({ maxLength: 4 }),
    ),
    { maxLength: 6 },
  )
  .map((parts) => parts.join(''))
const args = fc.oneof(
  near,
  fc.constantFrom(...cids).chain((cid) => near.map((rest) => `/ipfs/${cid}/${rest}`)),
)
const option = fc.tuple(
  fc.constantFrom('r', 'recursive', 'u', 'e', 'max-depth', 'format', 'timeout', 'n', 'x'),
  fc.oneof(
    fc.constantFrom('true', '0', '-1', '5', '1m', '<dst>', '<src> -> <dst>'),
    fc.string({ maxLength: 6 }),
  ),
)
const options = fc.array(option, { maxLength: 4 })

const query = (arg: string, more: readonly (readonly [string, string])[]) =>
  new URLSearchParams([['arg', arg], ...more.map(([name, value]) => [name, value])]).toString()

test('what is told of a root names it alone, and is read as the same again', () => {
  let taken = 0
  fc.assert(
    fc.property(args, options, (arg, more) => {
      const parsed = parseRefsQuery(query(arg, more), knowsHash)
      if (!parsed.ok) {
        expect(parsed.reason.length).toBeGreaterThan(10)
        return
      }
      taken++
      const { query: first } = parsed.value
      expect(first.arg).toMatch(/^(\/ipfs\/)?[A-Za-z0-9]+(\/|$)/)
      const names = first.arg.split('/').slice(first.arg.startsWith('/') ? 3 : 1)
      expect(names.filter((name) => ['', '.', '..'].includes(name))).toEqual([])
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there.
      expect(first.arg).not.toMatch(/[\u0000-\u001f]/)
      const again = parseRefsQuery(query(first.arg, more), knowsHash)
      expect(again).toEqual(parsed)
    }),
    { numRuns: 5_000 },
  )
  expect(taken).toBeGreaterThan(100)
})

test('any query is read or refused', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.string({ unit: 'binary' })), (text) => {
      const parsed = parseRefsQuery(text, knowsHash)
      expect(parsed.ok || parsed.reason !== '').toBe(true)
    }),
  )
})

test('what is forwarded is read as the same again', () => {
  const commands = rpcCommands.filter((name): name is ForwardedCommand => name !== 'routing/v1')
  fc.assert(
    fc.property(
      fc.constantFrom(...commands),
      fc.oneof(
        args,
        near.map((rest) => `/ipns/${rest}`),
      ),
      options,
      (command, arg, more) => {
        const parsed = parseCall(command, query(arg, more), 60_000)
        if (!parsed.ok) return
        const again = parseCall(command, query(parsed.value.key, more), 60_000)
        expect(again).toEqual(parsed)
      },
    ),
    { numRuns: 3_000 },
  )
})

test('a lookup stays below its path', () => {
  const path = fc.tuple(fc.constantFrom('providers/', 'peers/', 'ipns/', 'dht/closest/peers/', ''), near)
  fc.assert(
    fc.property(path, ([prefix, rest]) => {
      const url = URL.parse(`http://edge/routing/v1/${prefix}${rest}`)
      const parsed = url === null ? undefined : parseLookup(url, '')
      if (parsed?.ok)
        expect(parsed.value.path).toMatch(/^\/routing\/v1\/[a-z/]+\/[A-Za-z0-9]+(\?[\w=%.&+-]*)?$/)
    }),
    { numRuns: 3_000 },
  )
})

test('no address survives in words for clients', () => {
  const address = fc.oneof(
    fc.ipV4(),
    fc.ipV4().map((ip) => `${ip}:4001`),
    fc.ipV4().map((ip) => `/ip4/${ip}/tcp/4001`),
    fc.ipV6(),
    fc.ipV6().map((ip) => `[${ip}]:4001`),
    fc.ipV6().map((ip) => `/ip6/${ip}/udp/4001/quic-v1`),
  )
  fc.assert(
    fc.property(
      fc.lorem({ maxCount: 4 }),
      address,
      fc.constantFrom(' ', ': ', '\n', '->', ' "'),
      (words, secret, gap) => {
        const told = publicWords(`${words}${gap}${secret}${gap}${words}`)
        for (const part of secret.match(/[0-9a-f:.]{6,}/gi) ?? []) expect(told).not.toContain(part)
      },
    ),
    { numRuns: 2_000 },
  )
})
