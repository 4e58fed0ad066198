import { expect, test } from 'bun:test'
import { parseLookup } from '#src/http/routing-v1.ts'

const peer = '12D3KooWEEDqSX1dBf4AnwpXoVNccGW7MTJdGyqE8MD2rPAJNBpF'
const cid = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'
const name = 'k51qzi5uqu5dkkciu33khkzbcmxtyhn376i1e83tya8kuy7z9euedzyr5nhoew'
const parse = (path: string, accept = '') => parseLookup(new URL(`http://edge/routing/v1/${path}`), accept)

test.each([
  [`providers/${cid}`, `/routing/v1/providers/${cid}`],
  [`peers/${peer}`, `/routing/v1/peers/${peer}`],
  [`dht/closest/peers/${peer}`, `/routing/v1/dht/closest/peers/${peer}`],
  [`dht/closest/peers/${cid}`, `/routing/v1/dht/closest/peers/${cid}`],
  [
    `providers/${cid}?filter-addrs=!tcp,quic-v1&x=1`,
    `/routing/v1/providers/${cid}?filter-addrs=%21tcp%2Cquic-v1`,
  ],
])('%s', (given, path) => expect(parse(given)).toMatchObject({ ok: true, value: { path } }))

test('a name is told as a CID', () => {
  expect(parse(`ipns/${name}`)).toMatchObject({
    ok: true,
    value: {
      path: expect.stringMatching(/^\/routing\/v1\/ipns\/bafz/),
      accept: 'application/vnd.ipfs.ipns-record',
    },
  })
})

test('streams are for those who take them', () => {
  const accept = (header: string) => {
    const parsed = parse(`providers/${cid}`, header)
    return parsed?.ok && parsed.value.accept
  }
  expect(accept('')).toBe('application/json')
  expect(accept('text/html, */*')).toBe('application/json')
  expect(accept('application/x-ndjson, application/json')).toBe('application/x-ndjson')
})

test.each(['', 'providers', 'other/x', `provider/${cid}`, 'dht/closest/x'])('"%s" is no lookup', (path) =>
  expect(parse(path)).toBeUndefined(),
)

test.each([
  'providers/',
  'providers/x',
  `providers/${cid}/`,
  `providers/${cid}/../../../api/v0/id`.replaceAll('..', '%2e%2e%2f'),
  `peers/${cid}`,
  `ipns/${cid}`,
  'ipns/example.org',
  `providers/${cid}?filter-addrs=${'x'.repeat(600)}`,
  `providers/${cid}?filter-addrs=%0d%0aX:y`,
])('"%s" is refused', (path) => expect(parse(path)?.ok).toBe(false))
