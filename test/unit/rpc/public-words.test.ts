import { expect, test } from 'bun:test'
import { publicWords, withoutCids } from '#src/rpc/public-words.ts'

test.each([
  ['dial tcp4 0.0.0.0:4001->10.0.0.5:4001: i/o timeout', 'dial tcp4 [address]: i/o timeout'],
  ['all dials failed * [/ip4/10.0.0.5/tcp/4001] x', 'all dials failed * [[address]] x'],
  ['lookup kubo-1.lan on 10.0.0.53:53: no such host', 'lookup [address] on [address]: no such host'],
  ['dial tcp kubo-1.lan:4001: connect: refused', 'dial tcp [address]: connect: refused'],
  ['kubo-1:5001 is gone', '[address] is gone'],
  ['at [fd00::1]:4001 or fd00::1 or ::1', 'at [address] or [address] or [address]'],
  ['see http://user:pw@10.0.0.1:5001/x', 'see [address]'],
  ['peer 12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5 left', 'peer [peer] left'],
  ['open /data/ipfs/blocks/X3/put-1: permission denied', 'open [path]: permission denied'],
])('%s', (said, words) => expect(publicWords(said)).toBe(words))

test.each([
  'no link named "a" under QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N',
  'ipld: could not find bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy',
  'invalid path "/ipfs/QmYyQ/a/b": too short',
  'context deadline exceeded',
  'protobuf: (PBNode) invalid wireType, expected 2, got 0',
])('what is about the content stays: %s', (said) => expect(publicWords(said)).toBe(said))

test('it is one line', () => expect(publicWords('a\nb\tc\u0000d')).toBe('a b c d'))

test('a megabyte is cut, and quickly', () => {
  const beganMs = performance.now()
  for (const piece of ['/a', ':', '1.', 'a:', '[::', 'dial ', '/ip4']) {
    expect(publicWords(piece.repeat(500_000)).length).toBeLessThanOrEqual(300)
  }
  expect(performance.now() - beganMs).toBeLessThan(500)
})

test.each([
  ['no link named "a" under QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N', 'no link named "a" under [cid]'],
  [
    'ipld: could not find bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy',
    'ipld: could not find [cid]',
  ],
  ['/ipfs/zb2rhe5P4gXftAwvA4eXQ5HJwsER2owDyS9sKaQRRVQPn93bA/a: gone', '/ipfs/[cid]/a: gone'],
  ['BAFKQAALB is an inline one, bafyaaea another', '[cid] is an inline one, [cid] another'],
  [
    'blockservice is closed; background context canceled',
    'blockservice is closed; background context canceled',
  ],
])('for logs: %s', (said, words) => expect(withoutCids(said)).toBe(words))
