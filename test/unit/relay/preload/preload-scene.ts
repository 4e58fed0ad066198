import { decodeMessage } from '#src/bitswap/message.ts'
import { digestOf, knowsHash } from '#src/content/digest.ts'
import type { BackPeer } from '#src/relay/back-peer.ts'
import type { Backend } from '#src/relay/backend.ts'
import type { FrontPeer } from '#src/relay/front-peer.ts'
import type { KeepByRpc, RefsCall, RefsQuery, RefsRefusal } from '#src/relay/preload/refs.ts'
import { Relay, type RelayOptions } from '#src/relay/relay.ts'
import { roomyPreload } from '#test/support/relay-options.ts'
import { decodeWire, encodeWire, joinBytes, unframeWire, type WireMessage } from '#test/support/wire.ts'
import {
  PlayedRefs,
  StandingClock,
  type ToyBlock,
  toyLinks,
} from '#test/unit/relay/preload/preload-fixture.ts'

/** A whole relay whose backends and clients are played by the test, message by message. */
export class PreloadScene {
  readonly clock = new StandingClock()
  readonly relay: Relay
  readonly nodes: PlayedNode[] = []
  readonly reached: string[] = []
  readonly troubles: string[] = []

  constructor(nodes = 1, preload: Partial<RelayOptions['preload']> = {}, cacheBytes = 0) {
    this.relay = new Relay(
      {
        clock: this.clock,
        digestOf,
        knowsHash,
        linksOf: toyLinks,
        observer: {
          backendState() {},
          gatewayState: () => {},
          preloadTrouble: (name, what, reason) => this.troubles.push(`${name} ${what}: ${reason}`),
        },
        reach: (address) => this.reached.push(address),
      },
      {
        client: {
          wants: 1_024,
          wantsPerSecond: Number.POSITIVE_INFINITY,
          bytesPerSecond: Number.POSITIVE_INFINITY,
          fetchesPerMinute: 600,
          bufferBytes: 2 ** 24,
          bufferBytesTotal: 2 ** 28,
        },
        cacheBytes,
        miss: { mode: 'dont-have', timeoutMs: 1_000, concurrency: 1, answerAfterMs: 1_000 },
        preload: { ...roomyPreload, ...preload },
        lanes: 2,
      },
    )
    for (let n = 0; n < nodes; n++) this.nodes.push(new PlayedNode(this.relay, String.fromCharCode(97 + n)))
    this.pass(50)
  }

  /** The backend that has an unfinished refs; there must be one. */
  get worker(): PlayedNode {
    const worker = this.nodes.find(({ refs }) => refs.some(({ over }) => !over))
    if (worker === undefined) throw new Error('no backend works')
    return worker
  }

  call(
    query: RefsQuery,
    address = 'home',
    timeoutMs?: number,
  ): RefsCall & { readonly woken: { times: number } } {
    const woken = { times: 0 }
    const call = this.tryCall(query, address, timeoutMs, () => woken.times++)
    if ('refused' in call) throw new Error(call.refused)
    return Object.assign(call, { woken })
  }

  tryCall(
    query: RefsQuery,
    address = 'home',
    timeoutMs?: number,
    wake: () => void = () => {},
  ): RefsCall | RefsRefusal {
    return this.relay.refs.refs({ query, address, timeoutMs }, wake)
  }

  client(address = 'home'): PlayedClient {
    return new PlayedClient(this.relay, address)
  }

  pass(ms: number): void {
    for (const endMs = this.clock.nowMs + ms; this.clock.nowMs < endMs; ) {
      this.clock.nowMs += 50
      this.relay.tick()
    }
  }

  /** What is to be nothing once nobody is there any more. */
  get left(): Record<string, number> {
    const { refs, grants, grantedBlocks, pulls, supplyBytes, pending } = this.relay.gauges
    const all = { refs, grants, grantedBlocks, pulls, supplyBytes, pending, ...this.relay.leftovers }
    return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== 0))
  }
}

/** A backend that the test plays. */
export class PlayedNode {
  readonly refs: PlayedRefs[] = []
  readonly backend: Backend
  keep: ((failure?: string) => void) | undefined
  peers: BackPeer[] = []
  readonly #relay: Relay

  constructor(relay: Relay, name: string) {
    this.#relay = relay
    const keep: KeepByRpc = (_root, done) => {
      this.keep = done
      return () => {}
    }
    this.backend = relay.addBackend(name, {
      refs: (query, sink) => {
        const refs = new PlayedRefs(query, sink)
        this.refs.push(refs)
        return refs
      },
      ...(name === 'keeper' && { keep }),
    })
    this.up()
  }

  /** The refs that it was told last. */
  get last(): PlayedRefs {
    return this.refs.at(-1) as PlayedRefs
  }

  up(): void {
    this.peers = this.backend.lanes.map(({ slot }) =>
      this.#relay.connectLane(this.backend, slot, { wake() {} }),
    )
  }

  down(): void {
    for (const peer of this.peers.splice(0)) peer.close()
  }

  want(...blocks: readonly ToyBlock[]): void {
    for (const peer of this.peers)
      receive(peer, { entries: blocks.map(({ cid }) => entry(cid, { have: true })) })
  }

  cancel(...blocks: readonly ToyBlock[]): void {
    for (const peer of this.peers)
      receive(peer, { entries: blocks.map(({ cid }) => entry(cid, { cancel: true })) })
  }

  /** Says that it has not got what it is asked for, or sends it. */
  answer(has: readonly ToyBlock[] = []): void {
    for (const peer of this.peers) {
      for (const { entries } of sent(peer)) {
        for (const { cid, cancel } of entries) {
          if (cancel) continue
          const block = has.find(({ key }) => sameKey(key, cid))
          if (block === undefined) receive(peer, { presences: [{ cid, have: false }] })
          else receive(peer, { payload: [{ prefix: prefixOf(cid), data: block.bytes }] })
        }
      }
    }
  }

  /** The CIDs that it was asked for since it was last asked. */
  asked(): Uint8Array[] {
    const entries = this.peers.flatMap((peer) => sent(peer).flatMap((message) => message.entries))
    return entries.filter(({ cancel }) => !cancel).map(({ cid }) => cid)
  }

  /** The blocks that it was sent since it was last asked. */
  got(): Uint8Array[] {
    return this.peers.flatMap((peer) => sent(peer).flatMap(({ payload }) => payload.map(({ data }) => data)))
  }
}

/** A client that the test plays. */
export class PlayedClient {
  readonly peer: FrontPeer

  constructor(relay: Relay, address: string) {
    this.peer = relay.connectClient({ wake() {} })
    this.peer.at(new Set([address]))
  }

  /** What it was told since it was last asked: `block` or `have` or `cancel`, with the block of those given. */
  told(blocks: Readonly<Record<string, ToyBlock>>): string[] {
    return sent(this.peer).flatMap(({ entries }) =>
      entries.map(({ cid, cancel, have }) => {
        const [name = '?'] = Object.entries(blocks).find(([, { key }]) => sameKey(key, cid)) ?? []
        return `${cancel ? 'cancel' : have ? 'have' : 'block'} ${name}`
      }),
    )
  }

  bring(...blocks: readonly ToyBlock[]): number {
    return receive(this.peer, {
      payload: blocks.map(({ cid, bytes }) => ({ prefix: prefixOf(cid), data: bytes })),
    })
  }

  bringWrong(block: ToyBlock): void {
    const data = block.bytes.slice()
    data[0] = 0
    receive(this.peer, { payload: [{ prefix: prefixOf(block.cid), data }] })
  }

  has(block: ToyBlock, have = true): void {
    receive(this.peer, { presences: [{ cid: block.cid, have }] })
  }

  leave(): void {
    this.peer.close()
  }
}

function entry(cid: Uint8Array, some: { have?: boolean; cancel?: boolean }) {
  return { cid, priority: 1, have: false, cancel: false, sendDontHave: true, ...some }
}

/** CIDv0 in full, as boxo says it. */
function prefixOf(cid: Uint8Array): Uint8Array {
  return cid.length === 34 ? Uint8Array.from([0, 0x70, 0x12, 0x20]) : cid.slice(0, cid.length - 32)
}

function sameKey(key: string, cid: Uint8Array): boolean {
  return key === String.fromCharCode(...cid.subarray(cid.length - 34))
}

function receive<T>(peer: { receive(message: never): T }, message: Partial<WireMessage>): T {
  const decoded = decodeMessage(encodeWire(message))
  if (typeof decoded === 'string') throw new Error(decoded)
  return peer.receive(decoded as never)
}

function sent(peer: { take(version: '1.2'): Uint8Array[] | undefined }): WireMessage[] {
  const messages: WireMessage[] = []
  for (let frame = peer.take('1.2'); frame !== undefined; frame = peer.take('1.2')) {
    messages.push(...unframeWire(joinBytes(frame)).map(decodeWire))
  }
  return messages
}
