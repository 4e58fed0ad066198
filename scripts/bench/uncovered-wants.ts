/**
 * `bun scripts/bench/uncovered-wants.ts`: what it costs to ignore what a backend wants for itself. Kubo tells every want
 * to every peer, so each one comes once on each lane and is taken back there; here from encoded messages through the
 * decoder and a real relay with a thousand open grants, none of which covers any of it. Prints wants per CPU-second
 * (each lane's entry is one, its cancel is work besides) for several sizes of message, and memory. Those that are never
 * taken back push one another out.
 */
import { createHash } from 'node:crypto'
import { codecs, parseCid } from '#src/bitswap/cid.ts'
import { decodeMessage } from '#src/bitswap/message.ts'
import { digestOf, knowsHash } from '#src/content/digest.ts'
import { linksOf } from '#src/content/links.ts'
import type { BackPeer } from '#src/relay/back-peer.ts'
import { Relay } from '#src/relay/relay.ts'
import { roomyPreload } from '#test/support/relay-options.ts'
import { encodeWire } from '#test/support/wire.ts'

const lanes = 4
const grants = 1_000
const distinct = 65_536
const rounds = 4
const wantedPerCpuSecond = 200_000

/** The CIDv1 number `n` of the benchmark's own. */
function cidOf(n: number, codec: number): Uint8Array {
  const digest = createHash('sha256').update(`uncovered want ${n}`).digest()
  return Uint8Array.from([1, codec, 0x12, 0x20, ...digest])
}

function startRelay(): { relay: Relay; peers: BackPeer[] } {
  const relay = new Relay(
    {
      clock: { now: () => performance.now() },
      digestOf,
      knowsHash,
      linksOf,
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
      cacheBytes: 2 ** 28,
      miss: { mode: 'dont-have', timeoutMs: 30_000, concurrency: 64, answerAfterMs: 1_000 },
      preload: roomyPreload,
      lanes,
    },
  )
  const backend = relay.addBackend('bench', { refs: () => ({ resume() {}, abort() {} }) })
  const peers = backend.lanes.map(({ slot }) => relay.connectLane(backend, slot, { wake() {} }))
  for (let n = 0; n < grants; n++) {
    const cid = parseCid(cidOf(distinct + n, codecs.dagPb))
    if (typeof cid === 'string') throw new Error(cid)
    const root = { cid: cid.key, multihash: cid.multihash, codec: cid.codec }
    const query = {
      arg: `${n}`,
      root,
      recursive: true,
      unique: false,
      edges: false,
      maxDepth: -1,
      format: '',
    }
    const call = relay.refs.refs({ query, address: `10.0.0.${n % 250}`, timeoutMs: undefined }, () => {})
    if ('refused' in call) throw new Error(call.refused)
  }
  return { relay, peers }
}

/** Messages with so many entries each, over all distinct CIDs. */
function encoded(perMessage: number, cancel: boolean): Uint8Array[] {
  const messages: Uint8Array[] = []
  for (let from = 0; from < distinct; from += perMessage) {
    const entries = Array.from({ length: perMessage }, (_, n) => ({
      cid: cidOf(from + n, codecs.raw),
      priority: 1,
      cancel,
      have: !cancel,
      sendDontHave: !cancel,
    }))
    messages.push(encodeWire({ entries }))
  }
  return messages
}

function receive(peer: BackPeer, frame: Uint8Array): void {
  const message = decodeMessage(frame)
  if (typeof message === 'string') throw new Error(message)
  peer.receive(message)
}

const mebibyte = 2 ** 20
function memory(): string {
  Bun.gc(true)
  const { heapUsed, rss } = process.memoryUsage()
  return `${(heapUsed / mebibyte).toFixed(1)} MiB of heap, ${(rss / mebibyte).toFixed(0)} MiB resident`
}

const { relay, peers } = startRelay()
console.log(`${relay.gauges.grants} grants open; ${memory()}`)
let slowest = Number.POSITIVE_INFINITY
for (const perMessage of [1, 16, 512]) {
  const wants = encoded(perMessage, false)
  const cancels = encoded(perMessage, true)
  for (const takenBack of [true, false]) {
    const figures: number[] = []
    // The first round is for the compiler.
    for (let round = 0; round <= rounds; round++) {
      const before = process.cpuUsage()
      for (const [at, frame] of wants.entries()) {
        for (const peer of peers) receive(peer, frame)
        // A while later, so that idle wants pile up as they do.
        const cancel = cancels[at - Math.ceil(4_096 / perMessage)]
        if (takenBack && cancel !== undefined) for (const peer of peers) receive(peer, cancel)
      }
      const { user, system } = process.cpuUsage(before)
      if (round > 0) figures.push(Math.round((distinct * lanes * 1e6) / (user + system)))
    }
    slowest = Math.min(slowest, ...figures)
    const told = figures.map((figure) => figure.toLocaleString('en')).join(', ')
    console.log(
      `${perMessage} per message, ${takenBack ? 'taken back' : 'never taken back'}: ${told} wants per CPU-second`,
    )
    console.log(`  kept: ${relay.backends[0]?.wants.size} wants; ${memory()}`)
  }
}
const { granted, ignored } = relay.counters.backWants
console.log(`ignored ${ignored.toLocaleString('en')}, granted ${granted}`)
console.log(
  `slowest ${Math.round(slowest).toLocaleString('en')}, to be ${wantedPerCpuSecond.toLocaleString('en')}`,
)
process.exitCode = slowest >= wantedPerCpuSecond && granted === 0 ? 0 : 1
