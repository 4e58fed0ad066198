import { type CidKey, type MultihashKey, parseCid } from '#src/bitswap/cid.ts'
import type { WantEntry } from '#src/bitswap/message.ts'
import type { Ask } from '#src/relay/ask.ts'
import { Backend } from '#src/relay/backend.ts'
import { Buffers } from '#src/relay/buffers.ts'
import { Client, type ClientWant } from '#src/relay/client.ts'
import type { Lane } from '#src/relay/lane.ts'
import type { Link } from '#src/relay/ports.ts'
import { decodeWire, unframeWire, type WireEntry } from '#test/support/wire.ts'

/** A link that only counts how often it was woken. */
export class CountingLink implements Link {
  wakes = 0
  wake(): void {
    this.wakes++
  }
}

/** The CIDv0 number `n`. */
export function cidBytes(n: number): Uint8Array {
  const cid = new Uint8Array(34)
  cid.set([0x12, 0x20])
  new DataView(cid.buffer).setUint32(2, n)
  cid[33] = n & 0xff
  return cid
}

export function cidKey(n: number): CidKey {
  return String.fromCharCode(...cidBytes(n)) as CidKey
}

export function multihash(n: number): MultihashKey {
  return cidKey(n) as unknown as MultihashKey
}

/** A backend whose lanes are up. */
export function readyBackend(name = 'a', lanes = 1): Backend {
  const backend = new Backend(name, lanes, {}, new Buffers(64e6, 64e6))
  for (const lane of backend.lanes) lane.connect(new CountingLink())
  backend.state = 'ready'
  return backend
}

export function askOf(n: number, backend: Backend, options: Partial<Pick<Ask, 'kind' | 'again'>> = {}): Ask {
  return {
    cid: cidKey(n),
    multihash: multihash(n),
    backend,
    lane: backend.lanes[0] as Lane,
    kind: 'block',
    sentMs: undefined,
    verdict: undefined,
    slow: false,
    again: false,
    ...options,
  }
}

/** What the next message of a lane says, each entry as `want-block 3`, `want-have 3` or `cancel 3`. */
export function take(lane: Lane, nowMs = 0): string[] | undefined {
  const frame = lane.take(nowMs)
  if (frame === undefined) return undefined
  return decodeWire(unframeWire(frame)[0] as Uint8Array).entries.map(inWords)
}

function inWords({ cid, cancel, have }: WireEntry): string {
  const n = new DataView(cid.buffer, cid.byteOffset).getUint32(2)
  if (cancel) return `cancel ${n}`
  return have ? `want-have ${n}` : `want-block ${n}`
}

export function newClient(
  buffers = new Buffers(16e6, 64e6),
  limits: { bytesPerSecond?: number } = {},
): Client {
  return new Client(
    new CountingLink(),
    {
      wants: 100,
      wantsPerSecond: Number.POSITIVE_INFINITY,
      bytesPerSecond: limits.bytesPerSecond ?? Number.POSITIVE_INFINITY,
      fetchesPerMinute: 600,
    },
    buffers,
    { wants: 0 },
    0,
  )
}

let sequence = 0

/** A want of a client, in no ledger. */
export function wantOf(client: Client, n: number, entry: Partial<WantEntry> = {}): ClientWant {
  const cid = parseCid(cidBytes(n))
  if (typeof cid === 'string') throw new Error(cid)
  const whole = { cid: cidBytes(n), priority: 1, cancel: false, have: false, sendDontHave: false, ...entry }
  return client.createWant(whole, cid, 0, sequence++)
}
