import { createHash } from 'node:crypto'
import { type CidKey, type MultihashKey, type ParsedCid, parseCid } from '#src/bitswap/cid.ts'
import type { Backend } from '#src/relay/backend.ts'
import type { Account } from '#src/relay/preload/accounts.ts'
import type { BackWant } from '#src/relay/preload/back-wants.ts'
import type { GrantLimits } from '#src/relay/preload/grants.ts'
import { Pull } from '#src/relay/preload/pull.ts'
import type { RefsQuery, RefsResult, RefsRoot, RefsSink } from '#src/relay/preload/refs.ts'
import { type Body, joined } from '#src/util/pieces.ts'
import { TokenBucket } from '#src/util/token-bucket.ts'
import { cidBytes, cidKey, multihash } from '#test/unit/relay/fixture.ts'

/** Pieces of a preload, each with as little in it as it can have. */

/** A clock that stands still until it is told to go on. */
export class StandingClock {
  nowMs = 0
  now(): number {
    return this.nowMs
  }
}

export function parsed(n: number): ParsedCid {
  const cid = parseCid(cidBytes(n))
  if (typeof cid === 'string') throw new Error(cid)
  return cid
}

export function rootOf(n: number): RefsRoot {
  return { cid: cidKey(n), multihash: multihash(n), codec: 0x70 }
}

export function queryOf(n: number, options: Partial<RefsQuery> = {}): RefsQuery {
  const root = rootOf(n)
  return {
    arg: `root-${n}`,
    root,
    recursive: true,
    unique: false,
    edges: false,
    maxDepth: -1,
    format: '',
    ...options,
  }
}

export function accountOf(address: string): Account {
  return { address, bucket: new TokenBucket(10, 0), calls: 0, blocks: 0, bytes: 0, idleMs: 0 }
}

/** Limits that nothing runs into but what is named. */
export function limits(some: Partial<GrantLimits> = {}): GrantLimits {
  const much = 1e9
  return {
    blocks: much,
    blocksPerAddress: much,
    blocksTotal: much,
    bytes: much,
    bytesPerAddress: much,
    bytesTotal: much,
    depth: much,
    ...some,
  }
}

export function wantOf(n: number, backend: Backend): BackWant {
  return {
    backend,
    cid: cidKey(n),
    multihash: multihash(n),
    codec: 0x70,
    lanes: 1,
    others: undefined,
    pull: undefined,
  }
}

export function pullOf(n: number, backend: Backend): Pull {
  return new Pull(wantOf(n, backend))
}

/** A block whose bytes are the numbers of those that it links to, and the multihash that it has. */
export interface ToyBlock {
  readonly bytes: Uint8Array
  readonly cid: Uint8Array
  readonly key: MultihashKey
}

const marker = 'links:'

/** Returns a block with links; `salt` tells blocks with the same links apart. */
export function toyBlock(links: readonly ToyBlock[], salt = ''): ToyBlock {
  const text = `${marker}${links.map(({ key }) => Buffer.from(key, 'latin1').toString('hex')).join(',')}:${salt}`
  const bytes = new Uint8Array(Buffer.from(text))
  const cid = Uint8Array.from([0x12, 0x20, ...createHash('sha256').update(bytes).digest()])
  return { bytes, cid, key: String.fromCharCode(...cid) as MultihashKey }
}

/** A query for the DAG under a toy block. */
export function toyQuery(root: ToyBlock, options: Partial<RefsQuery> = {}): RefsQuery {
  const cid = String.fromCharCode(...root.cid) as CidKey
  return { ...queryOf(0, options), arg: root.key, root: { cid, multihash: root.key, codec: 0x70 } }
}

/** The links of toy blocks, under the codec of dag-pb. */
export function toyLinks(codec: number, bytes: Body, limit: number): readonly string[] {
  const text = Buffer.from(joined(bytes)).toString()
  if (codec !== 0x70 || !text.startsWith(marker)) return []
  const list = text.slice(marker.length, text.lastIndexOf(':'))
  if (list === '') return []
  return list.split(',', limit).map((hex) => Buffer.from(hex, 'hex').toString('latin1'))
}

export function lines(...texts: readonly string[]): Uint8Array[] {
  return texts.map((text) => new TextEncoder().encode(`${text}\n`))
}

export function texts(read: readonly Uint8Array[]): string[] {
  return read.map((line) => new TextDecoder().decode(line).trimEnd())
}

/** A backend's refs that the test plays. */
export class PlayedRefs {
  readonly query: RefsQuery
  readonly sink: RefsSink
  aborted = false
  resumed = 0
  #ended = false

  constructor(query: RefsQuery, sink: RefsSink) {
    this.query = query
    this.sink = sink
  }

  say(...texts: readonly string[]): boolean {
    return this.sink.lines(lines(...texts))
  }

  done(): void {
    this.#end({ kind: 'done' })
  }

  fail(message = 'no such thing'): void {
    this.#end({ kind: 'failed', message })
  }

  lose(reason = 'connection reset'): void {
    this.#end({ kind: 'lost', reason })
  }

  /** It ended, or was given up. */
  get over(): boolean {
    return this.#ended || this.aborted
  }

  #end(result: RefsResult): void {
    this.#ended = true
    this.sink.ended(result)
  }

  resume(): void {
    this.resumed++
  }

  abort(): void {
    this.aborted = true
  }
}
