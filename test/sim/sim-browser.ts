import { decodeMessage } from '#src/bitswap/message.ts'
import type { FrontPeer } from '#src/relay/front-peer.ts'
import { hex, prefixFor, type SimBlock } from '#test/sim/content.ts'
import type { Dag } from '#test/sim/dags.ts'
import { Pipe } from '#test/sim/pipe.ts'
import type { PreloadSim } from '#test/sim/preload-sim.ts'
import { decodeWire, encodeWire, unframeWire, type WireEntry, type WireMessage } from '#test/support/wire.ts'

/** How a browser serves what it is asked for. */
export interface BrowserManner {
  /** Tells what it has: to who asks for that, and DONT_HAVE to who wants to hear it. */
  readonly presences: boolean
  /** Small blocks are sent to who only asked for their presence. */
  readonly eager?: boolean
  /** A want for what it has not is remembered and answered when it has. */
  readonly remembers?: boolean
  /** A stream per message: they may overtake one another. */
  readonly overtaking?: boolean
  /** Sends blocks without a prefix, as Bitswap 1.0 has it. */
  readonly bare?: boolean
  /** Chance that a block has the wrong bytes. */
  readonly wrongBytes?: number
  /** Answers nothing. */
  readonly silent?: boolean
  readonly bytesPerMs?: number
  /** Speaks Bitswap of its own accord when it connects; the others wait to be spoken to. */
  readonly speaks?: boolean
}

export const browsers = {
  jsIpfs: { presences: true, remembers: true, overtaking: true },
  oldJsIpfs: { presences: false, remembers: true, overtaking: true, speaks: true },
  oldest: { presences: false, remembers: true, bare: true },
  boxo: { presences: true, eager: true, remembers: true, speaks: true },
  slow: { presences: true, remembers: true, overtaking: true, bytesPerMs: 100 },
  liar: { presences: true, wrongBytes: 1 },
  silent: { presences: false, silent: true },
} as const satisfies Record<string, BrowserManner>

const smallBlockBytes = 1024

/** A page in somebody's browser: holds what it added as long as it is open, and connects and vanishes as it likes. */
export class SimBrowser {
  readonly address: string
  readonly manner: BrowserManner
  readonly has = new Set<number>()
  /** Blocks that it sent, and how often. */
  readonly sent = new Map<number, number>()
  /** Wants that it was told, cancels not counted. */
  asked = 0
  /** The most wants that it held at once: told, and neither answered nor taken back. */
  mostHeld = 0
  readonly #sim: PreloadSim
  #connected = false
  #pipe: Pipe | undefined
  #peer: FrontPeer | undefined
  #arrivesMs = 0
  readonly #remembered = new Map<string, WireEntry>()
  readonly #held = new Set<string>()
  #slept: (() => void)[] | undefined

  constructor(sim: PreloadSim, address: string, manner: BrowserManner) {
    this.#sim = sim
    this.address = address
    this.manner = manner
  }

  get connected(): boolean {
    return this.#connected
  }

  /** Wants that it was told and that are neither answered nor cancelled. */
  get remembered(): number {
    return this.#remembered.size
  }

  /** A page in the background: connected, and does nothing. */
  set asleep(asleep: boolean) {
    const slept = this.#slept ?? []
    this.#slept = asleep ? [] : undefined
    for (const run of slept) run()
  }

  add(dag: Dag, part: (index: number) => boolean = () => true): void {
    for (const index of dag.indices) if (part(index)) this.has.add(index)
    for (const [key, entry] of [...this.#remembered]) {
      const block = this.#sim.content.named(entry.cid)
      if (block !== undefined && this.has.has(block.index)) {
        this.#remembered.delete(key)
        this.#sendBlock(block, entry.cid)
      }
    }
  }

  connect(): void {
    if (this.#connected) return
    this.#connected = true
    if (this.manner.speaks || this.#sim.relay.expects(this.address)) this.reach()
  }

  /** Gets a session, if it is connected and has none. */
  reach(): void {
    if (!this.#connected || this.#peer !== undefined) return
    const { world, relay } = this.#sim
    const { bytesPerMs } = this.manner
    const pipe: Pipe = new Pipe(world, {
      take: () => peer.take(this.manner.presences ? '1.2' : '1.1'),
      deliver: (frame) => {
        if (this.#slept === undefined) this.#read(frame)
        else this.#slept.push(() => peer === this.#peer && this.#read(frame))
      },
      latencyMs: () => this.#latencyMs(),
      ...(bytesPerMs !== undefined && { bytesPerMs: bytesPerMs * 10 }),
    })
    const peer: FrontPeer = relay.connectClient(pipe)
    this.#pipe = pipe
    this.#peer = peer
    peer.at(new Set([this.address]))
  }

  /** Goes away without a word: what it had on the way is lost. */
  disconnect(): void {
    this.#connected = false
    this.#pipe?.close()
    this.#peer?.close()
    this.#pipe = undefined
    this.#peer = undefined
    this.#remembered.clear()
    this.#held.clear()
  }

  #latencyMs(): number {
    return 5 + this.#sim.world.random() * 20
  }

  #read(frame: Uint8Array): void {
    for (const bytes of unframeWire(frame)) {
      const message = decodeWire(bytes)
      if (message.full) this.#sim.verdicts.fail('a full wantlist to a browser')
      const names = new Set(message.entries.map(({ cid }) => hex(cid)))
      if (names.size < message.entries.length)
        this.#sim.verdicts.fail('a CID twice in one message to a browser')
      const presences: WireMessage['presences'] = []
      for (const entry of message.entries) this.#entry(entry, presences)
      if (presences.length > 0) this.#send({ presences })
    }
  }

  #entry(entry: WireEntry, presences: WireMessage['presences']): void {
    const key = hex(entry.cid)
    if (entry.cancel) {
      this.#remembered.delete(key)
      this.#held.delete(key)
      return
    }
    this.asked++
    this.mostHeld = Math.max(this.mostHeld, this.#held.add(key).size)
    const block = this.#sim.content.named(entry.cid)
    if (block === undefined) return this.#sim.verdicts.fail('a browser is asked for what nobody ever had')
    this.#sim.mayAsk(this, block.index)
    const { presences: tells, eager, remembers, silent } = this.manner
    if (silent) return
    if (this.has.has(block.index)) {
      if (entry.have && !(eager && block.bytes.length <= smallBlockBytes)) {
        if (tells) presences.push({ cid: entry.cid, have: true })
        return
      }
      this.#sendBlock(block, entry.cid)
      return
    }
    if (remembers) this.#remembered.set(key, entry)
    if (tells && entry.sendDontHave) presences.push({ cid: entry.cid, have: false })
  }

  #sendBlock(block: SimBlock, cid: Uint8Array): void {
    const { wrongBytes = 0, bare = false } = this.manner
    let data = block.bytes
    if (this.#sim.world.chance(wrongBytes)) {
      data = data.slice()
      data[data.length - 1] = (data.at(-1) as number) ^ 0x55
    }
    this.#held.delete(hex(cid))
    this.sent.set(block.index, (this.sent.get(block.index) ?? 0) + 1)
    this.#send(bare ? { blocks: [data] } : { payload: [{ prefix: prefixFor(cid), data }] })
  }

  #send(message: Partial<WireMessage>): void {
    const peer = this.#peer
    if (peer === undefined) return
    const { world, verdicts } = this.#sim
    const bytes = encodeWire(message)
    const { bytesPerMs = 10_000, overtaking = false } = this.manner
    const startMs = Math.max(world.now(), this.#arrivesMs)
    this.#arrivesMs = startMs + bytes.length / bytesPerMs
    const atMs = this.#arrivesMs + (overtaking ? this.#latencyMs() : 10)
    world.at(atMs, () => {
      if (peer !== this.#peer) return
      const decoded = decodeMessage(bytes)
      if (typeof decoded === 'string') return verdicts.fail(`relay cannot read a browser: ${decoded}`)
      const pauseMs = peer.receive(decoded)
      if (pauseMs > 0) this.#arrivesMs = Math.max(this.#arrivesMs, world.now() + pauseMs)
      for (const { data } of message.payload ?? []) this.#sim.brought(this, data)
      for (const data of message.blocks ?? []) this.#sim.brought(this, data)
    })
  }
}
