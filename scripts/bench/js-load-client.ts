/**
 * One client of `js-load`: it keeps so many wants outstanding on its connection, in order and again from the beginning.
 * Every block is hashed. Memory: the open wants, and a number per block that came.
 */
import { createHash } from 'node:crypto'
import type { Connection, Stream } from '@libp2p/interface'
import type { Message } from '#src/bitswap/message.ts'
import { joined } from '#src/util/pieces.ts'
import { writeAll } from '#test/support/bitswap-host.ts'
import { rawFrame } from '#test/support/raw-message.ts'

/** What the other side holds. */
export interface LoadTargets {
  readonly cids: readonly Uint8Array[]
  /** Indices by the base64 of their sha2-256. */
  readonly byDigest: ReadonlyMap<string, number>
}

export interface JsLoadOptions {
  readonly number: number
  readonly clients: number
  readonly wants: number
  readonly lostAfterMs: number
}

export class JsLoadClient {
  blocks = 0
  bytes = 0
  lost = 0
  wrong = 0
  errors = 0
  firstError: string | null = null
  lastAnswerMs = 0
  readonly latencies: number[] = []
  readonly settled: Promise<void>
  readonly #targets: LoadTargets
  readonly #options: JsLoadOptions
  readonly #slice: number
  readonly #pending = new Map<number, number>()
  #settle = (): void => {}
  #stream: Stream | undefined
  #next = 0
  #closing = false

  constructor(targets: LoadTargets, options: JsLoadOptions) {
    this.#targets = targets
    this.#options = options
    this.#slice = Math.floor(targets.cids.length / options.clients)
    this.settled = new Promise((resolve) => {
      this.#settle = resolve
    })
  }

  /** Opens the stream on which it will want. */
  async begin(connection: Connection): Promise<void> {
    connection.addEventListener('close', () => {
      if (!this.#closing) this.#failed(new Error('disconnected'))
    })
    this.#stream = await connection.newStream('/ipfs/bitswap/1.2.0')
  }

  /** Fills up its wants. */
  want(): void {
    if (this.#closing) return
    const wants: { cid: Uint8Array; sendDontHave: boolean }[] = []
    const now = performance.now()
    while (this.#pending.size < Math.min(this.#options.wants, this.#slice)) {
      const index = this.#options.number * this.#slice + (this.#next++ % this.#slice)
      if (this.#pending.has(index)) continue
      this.#pending.set(index, now)
      wants.push({ cid: this.#targets.cids[index]!, sendDontHave: true })
    }
    if (wants.length === 0) return
    writeAll(this.#stream!, rawFrame({ wants })).catch((error: unknown) => this.#failed(error))
  }

  /** Wants nothing more; `settled` once what is open is answered, or lost. */
  close(): void {
    this.#closing = true
    if (this.#pending.size === 0) return this.#settle()
    setTimeout(() => {
      this.lost = this.#pending.size
      this.#settle()
    }, this.#options.lostAfterMs).unref()
  }

  receive({ blocks }: Message): void {
    for (const block of blocks) {
      const bytes = joined(block.bytes)
      const index = this.#targets.byDigest.get(createHash('sha256').update(bytes).digest('base64'))
      const since = index === undefined ? undefined : this.#pending.get(index)
      if (index === undefined) this.wrong++
      if (index === undefined || since === undefined) continue
      this.#pending.delete(index)
      this.blocks++
      this.bytes += bytes.length
      this.lastAnswerMs = performance.now()
      this.latencies.push(this.lastAnswerMs - since)
    }
    this.want()
    if (this.#closing && this.#pending.size === 0) this.#settle()
  }

  #failed(error: unknown): void {
    this.errors++
    this.firstError ??= `${error}`
  }
}

/** Returns the line that ends a run; latencies are those of blocks unless others are given. */
export function resultOf(
  clients: readonly JsLoadClient[],
  beganMs: number,
  others?: readonly number[],
): object {
  const sum = (read: (client: JsLoadClient) => number): number =>
    clients.reduce((total, client) => total + read(client), 0)
  const latencies = (others ?? clients.flatMap((client) => client.latencies)).toSorted((a, b) => a - b)
  const quantile = (share: number): number | null => latencies[Math.floor(latencies.length * share)] ?? null
  const { user, system } = process.cpuUsage()
  const ended = Math.max(...clients.map((client) => client.lastAnswerMs), others ? performance.now() : 0)
  const zero = { unfinished: 0, missingAsked: 0, missingDenied: 0, disconnects: 0 }
  return {
    event: 'result',
    ...zero,
    seconds: (ended - beganMs) / 1000,
    blocks: sum((client) => client.blocks),
    bytes: sum((client) => client.bytes),
    lost: sum((client) => client.lost),
    wrong: sum((client) => client.wrong),
    errors: sum((client) => client.errors),
    firstError: clients.find((client) => client.firstError !== null)?.firstError ?? null,
    p50ms: quantile(0.5),
    p99ms: quantile(0.99),
    connectP50ms: quantile(0.5),
    connectP99ms: quantile(0.99),
    cpuSeconds: (user + system) / 1e6,
  }
}
