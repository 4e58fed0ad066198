import { expect, test } from 'bun:test'
import { decodeMessage } from '#src/bitswap/message.ts'
import { digestOf, knowsHash } from '#src/content/digest.ts'
import { Relay } from '#src/relay/relay.ts'
import { roomyPreload } from '#test/support/relay-options.ts'
import { seededCid } from '#test/support/seeded-content.ts'
import { encodeWire } from '#test/support/wire.ts'

const maxWants = 1000

/** A relay without backends, where wants stay. */
function startRelay() {
  return new Relay(
    {
      clock: { now: () => 0 },
      digestOf,
      knowsHash,
      linksOf: () => [],
      observer: { backendState() {}, gatewayState() {}, preloadTrouble() {} },
      reach() {},
    },
    {
      client: {
        wants: 16_384,
        wantsPerSecond: Number.POSITIVE_INFINITY,
        bytesPerSecond: Number.POSITIVE_INFINITY,
        fetchesPerMinute: 600,
        bufferBytes: 2 ** 24,
        bufferBytesTotal: 2 ** 28,
      },
      cacheBytes: 0,
      miss: { mode: 'dont-have', timeoutMs: 1, concurrency: 1, answerAfterMs: 1 },
      preload: roomyPreload,
      lanes: 1,
      maxWants,
    },
  )
}

/** A message with `count` wants that no other seed has. */
function wantsOf(seed: number, count: number) {
  const entries = Array.from({ length: count }, (_, n) => ({
    cid: seededCid(seed, n, 16).bytes,
    priority: 1,
    cancel: false,
    have: false,
    sendDontHave: true,
  }))
  const message = decodeMessage(encodeWire({ entries }))
  if (typeof message === 'string') throw new Error(message)
  return message
}

test('however many wants a few clients have, there is room for those of the next', () => {
  const relay = startRelay()
  for (let greedy = 1; greedy <= 5; greedy++) {
    relay.connectClient({ wake() {} }).receive(wantsOf(greedy, maxWants))
  }
  expect(relay.gauges.wants).toBeLessThanOrEqual(maxWants)
  expect(relay.counters.refusedClient['edge-full']).toBe(5 * maxWants - relay.gauges.wants)
  const held = relay.gauges.wants
  relay.connectClient({ wake() {} }).receive(wantsOf(6, 60))
  expect(relay.gauges.wants).toBe(held + 60)
})

test('a refused want is denied to who asked for that, and none is refused without a reason', () => {
  const relay = startRelay()
  const client = relay.connectClient({ wake() {} })
  client.receive(wantsOf(1, maxWants))
  const refused = relay.counters.refusedClient['edge-full']
  expect(refused).toBeGreaterThan(0)
  expect(relay.counters.wantsEnded.refused).toBe(refused)
  const [answer] = client.take('1.2') ?? []
  const length = answer === undefined ? 0 : answer.length
  // Each DONT_HAVE is a CID of 36 bytes and six of framing.
  expect(length).toBeGreaterThanOrEqual(refused * 42)
})
