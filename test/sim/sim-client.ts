import { decodeMessage } from '#src/bitswap/message.ts'
import type { Version } from '#src/bitswap/protocol.ts'
import type { FrontPeer } from '#src/relay/front-peer.ts'
import { type CidForm, type Content, cidOf, hex } from '#test/sim/content.ts'
import { Pipe } from '#test/sim/pipe.ts'
import type { Simulation } from '#test/sim/simulation.ts'
import { decodeWire, encodeWire, unframeWire, type WireEntry, type WireMessage } from '#test/support/wire.ts'

/** How a client behaves. */
export interface ClientManner {
  readonly version: Version
  /** Asks who has it before it asks for it. */
  readonly haveFirst?: boolean
  readonly sendDontHave?: boolean
  /** Cancels sent when a block came: js-ipfs sends two, Helia none. */
  readonly cancels: 0 | 1 | 2
  /** Wants open at once, and the most in one message. */
  readonly window: number
  readonly perMessage?: number
  /** A stream per message: they may overtake one another. */
  readonly overtaking?: boolean
  readonly forms?: readonly CidForm[]
  /** What a DONT_HAVE does to a want: it waits for the block, or is taken back. */
  readonly onDontHave?: 'wait' | 'give-up'
  /** Chance that a want is taken back before its answer. */
  readonly changesMind?: number
  readonly bytesPerMs?: number
}

/** The clients that there are (see what is known of them on the wire). */
export const manners = {
  jsIpfs: { version: '1.2', cancels: 2, window: 32, perMessage: 1, overtaking: true },
  oldest: { version: '1.0', cancels: 1, window: 16, perMessage: 4, forms: ['v0'] },
  old: { version: '1.1', cancels: 1, window: 16, perMessage: 4 },
  boxo: { version: '1.2', haveFirst: true, sendDontHave: true, cancels: 1, window: 64, perMessage: 64 },
  helia: { version: '1.2', sendDontHave: true, cancels: 0, window: 32, perMessage: 8 },
  raw: { version: '1.2', sendDontHave: true, cancels: 0, window: 512, perMessage: 512 },
} as const satisfies Record<string, ClientManner>

interface OpenWant {
  readonly index: number
  readonly cid: Uint8Array
  readonly sentMs: number
  asked: 'have' | 'block'
  told: boolean
}

const formOfCodec: Readonly<Record<number, CidForm>> = { 112: 'v1-dag-pb', 113: 'v1-dag-cbor' }
const largestMessageBytes = 4 * 1024 * 1024

/** A client of the simulation: fetches a list of blocks, and notes whatever it is told that it may not be. */
export class SimClient {
  readonly manner: ClientManner
  readonly open = new Map<string, OpenWant>()
  /** Blocks that it has not asked for yet. */
  readonly plan: number[]
  /** Blocks that it got, and those it gave up. */
  readonly got = new Set<number>()
  readonly absent = new Set<number>()
  #asked = new Map<string, boolean>()
  #pipe: Pipe | undefined
  #peer: FrontPeer | undefined
  #reading = true
  #left = false
  #arrivesMs = 0
  readonly #sim: Simulation

  constructor(sim: Simulation, manner: ClientManner, plan: readonly number[]) {
    this.#sim = sim
    this.manner = manner
    this.plan = [...plan].reverse()
  }

  get connected(): boolean {
    return this.#peer !== undefined
  }

  /** Whether everything it wanted was answered. */
  get done(): boolean {
    return this.plan.length === 0 && this.open.size === 0
  }

  /** Connects and starts to fetch; what was open before goes out as a full wantlist. */
  connect(): void {
    if (this.#left || this.connected) return
    const { world, relay } = this.#sim
    const pipe: Pipe = new Pipe(world, {
      take: () => peer.take(this.manner.version),
      deliver: (frame) => this.#read(frame),
      latencyMs: () => 1 + world.random() * 10,
      ...(this.manner.bytesPerMs !== undefined && { bytesPerMs: this.manner.bytesPerMs }),
    })
    const peer: FrontPeer = relay.connectClient(pipe)
    pipe.reading = this.#reading
    this.#pipe = pipe
    this.#peer = peer
    const again = [...this.open.values()].map((want) => this.#entry(want))
    if (again.length > 0) this.send({ full: true, entries: again })
    this.fill()
  }

  /** Goes away without a word. What it had open it may ask for again when it connects. */
  disconnect(): void {
    this.#pipe?.close()
    this.#peer?.close()
    this.#pipe = undefined
    this.#peer = undefined
  }

  /** Gives everything up for good. */
  leave(): void {
    this.#left = true
    this.disconnect()
    this.open.clear()
    this.plan.length = 0
  }

  set reading(reading: boolean) {
    this.#reading = reading
    if (this.#pipe !== undefined) this.#pipe.reading = reading
  }

  /** Asks for more, as far as its window goes. */
  fill(): void {
    const { window, perMessage = 1 } = this.manner
    while (this.plan.length > 0 && this.open.size < window) {
      const entries: WireEntry[] = []
      while (this.plan.length > 0 && this.open.size < window && entries.length < perMessage) {
        const index = this.plan.pop() as number
        for (const form of this.#formsOf()) entries.push(this.want(index, form))
      }
      this.send({ entries })
    }
  }

  /** Notes a want as open and returns the entry to send for it. */
  want(index: number, form: CidForm): WireEntry {
    const cid = cidOf(this.#content.get(index), form)
    const asked = this.manner.haveFirst ? 'have' : 'block'
    const want: OpenWant = { index, cid, sentMs: this.#sim.world.now(), asked, told: false }
    this.open.set(hex(cid), want)
    this.#asked.set(hex(cid), true)
    this.#sim.wants++
    if (this.#sim.world.chance(this.manner.changesMind ?? 0)) {
      this.#sim.world.after(this.#sim.world.random() * 30, () => this.#giveUp(want))
    }
    return this.#entry(want)
  }

  send(message: Partial<WireMessage>): void {
    const peer = this.#peer
    if (peer === undefined) return
    const { world, verdicts } = this.#sim
    const bytes = encodeWire(message)
    const latencyMs = 1 + world.random() * 10
    const atMs = this.manner.overtaking
      ? world.now() + latencyMs
      : Math.max(this.#arrivesMs, world.now() + latencyMs)
    this.#arrivesMs = Math.max(this.#arrivesMs, atMs)
    world.at(atMs, () => {
      if (peer !== this.#peer) return
      const decoded = decodeMessage(bytes)
      if (typeof decoded === 'string') return verdicts.fail(`relay cannot read a client: ${decoded}`)
      const pauseMs = peer.receive(decoded)
      if (pauseMs > 0) this.#arrivesMs = Math.max(this.#arrivesMs, world.now() + pauseMs)
    })
  }

  get #content(): Content {
    return this.#sim.content
  }

  /** One form as a rule; now and then two, which name the same block. */
  #formsOf(): readonly CidForm[] {
    const forms = this.manner.forms ?? (['v0', 'v1-raw', 'v1-dag-pb'] as const)
    const first = this.#sim.world.pick(forms)
    if (forms.length < 2 || !this.#sim.world.chance(0.03)) return [first]
    return [first, this.#sim.world.pick(forms.filter((form) => form !== first))]
  }

  #entry(want: OpenWant): WireEntry {
    const { sendDontHave = false } = this.manner
    return { cid: want.cid, priority: 1, cancel: false, have: want.asked === 'have', sendDontHave }
  }

  #read(frame: Uint8Array): void {
    const { verdicts } = this.#sim
    for (const bytes of unframeWire(frame)) {
      if (bytes.length > largestMessageBytes) verdicts.fail('a message larger than clients take')
      const message = decodeWire(bytes)
      const { version } = this.manner
      if (message.entries.length > 0) verdicts.fail('a want to a client')
      if (version !== '1.2' && message.presences.length > 0) verdicts.fail('a presence to an old client')
      if (version === '1.0' ? message.payload.length > 0 : message.blocks.length > 0) {
        verdicts.fail('a block in the form of another version')
      }
      const cancels: WireEntry[] = []
      for (const data of message.blocks) this.#block(data, undefined, cancels)
      for (const { prefix, data } of message.payload) this.#block(data, prefix, cancels)
      for (const { cid, have } of message.presences) this.#presence(cid, have, cancels)
      if (cancels.length > 0) this.send({ entries: cancels })
      if (this.manner.cancels === 2 && cancels.length > 0) this.send({ entries: cancels })
    }
    this.fill()
  }

  #block(data: Uint8Array, prefix: Uint8Array | undefined, cancels: WireEntry[]): void {
    const { verdicts, world } = this.#sim
    const block = this.#content.withBytes(data)
    if (block === undefined) return verdicts.fail('wrong bytes at a client')
    const v0 = prefix === undefined || prefix[0] === 0
    const cid = cidOf(block, v0 ? 'v0' : (formOfCodec[prefix[1] ?? 0] ?? 'v1-raw'))
    if (!this.#asked.has(hex(cid))) return verdicts.fail('a block under a CID that was never wanted')
    const want = this.open.get(hex(cid))
    if (want === undefined) {
      verdicts.surplusBlocks++
      return
    }
    this.open.delete(hex(cid))
    this.got.add(block.index)
    verdicts.answered++
    this.#sim.slowestMs = Math.max(this.#sim.slowestMs, world.now() - want.sentMs)
    if (this.manner.cancels > 0) cancels.push(cancelOf(cid))
  }

  #presence(cid: Uint8Array, have: boolean, messages: WireEntry[]): void {
    const { verdicts } = this.#sim
    const want = this.open.get(hex(cid))
    if (!this.#asked.has(hex(cid))) return verdicts.fail('a presence of what was never wanted')
    if (have) {
      verdicts.haves++
      const index = this.#content.named(cid)?.index
      if (!this.#sim.mayHave(index)) verdicts.fail('HAVE of what no backend ever had')
      if (!this.manner.haveFirst) verdicts.fail('HAVE for a want-block')
      if (want?.asked !== 'have') return
      want.asked = 'block'
      messages.push(this.#entry(want))
      return
    }
    verdicts.dontHaves++
    if (!this.manner.sendDontHave) verdicts.fail('DONT_HAVE that was not asked for')
    if (want === undefined) return
    want.told = true
    this.#sim.told(want.index, want.sentMs)
    if (this.manner.onDontHave !== 'give-up') return
    this.open.delete(hex(cid))
    this.absent.add(want.index)
    messages.push(cancelOf(cid))
  }

  #giveUp(want: OpenWant): void {
    if (this.open.get(hex(want.cid)) !== want) return
    this.open.delete(hex(want.cid))
    this.absent.add(want.index)
    this.send({ entries: [cancelOf(want.cid)] })
    this.fill()
  }
}

function cancelOf(cid: Uint8Array): WireEntry {
  return { cid, priority: 0, cancel: true, have: false, sendDontHave: false }
}
