import { type Content, cidOf, hex, prefixFor } from '#test/sim/content.ts'
import type { SimBackend } from '#test/sim/sim-backend.ts'
import type { World } from '#test/sim/world.ts'
import { decodeWire, encodeWire, unframeWire, type WireEntry, type WireMessage } from '#test/support/wire.ts'

/** How a backend behaves. All left out: like Kubo, and honest. */
export interface BackendManner {
  /** Like Helia: what is known, or was answered lately, is ignored unless it was cancelled first. */
  readonly ignoresRepeats?: boolean
  /** Chance that a block's bytes are wrong. */
  readonly wrongBytes?: number
  /** Says HAVE to every want-have and then never sends the block. */
  readonly emptyPromises?: boolean
  /** Chance that a want is never answered. */
  readonly deaf?: number
  /** Chance that a block nobody asked for goes with a message. */
  readonly pushes?: number
}

/** Kubo keeps so many wants of one peer, and drops the rest. */
const capacity = 1024
/** Helia looks at so many entries of one message. */
const entriesPerMessage = 1024
/** Helia does not answer a want again within this time, unless it was cancelled. */
const repeatMs = 5_000
const smallBlockBytes = 1024
const targetMessageBytes = 16 * 1024

interface Task {
  readonly key: string
  readonly entry: WireEntry
  readonly answer: 'block' | 'have' | 'dont-have'
}

/** What a backend keeps of one lane: its wants, and the answers that are on their way. */
export class BackendLedger {
  readonly slot: number
  readonly #node: SimBackend
  readonly #content: Content
  readonly #world: World
  readonly #send: (frame: Uint8Array) => void
  readonly #wants = new Map<string, WireEntry>()
  /** What was answered when, where repeats are ignored. */
  readonly #answered = new Map<string, { entry: WireEntry; atMs: number }>()
  /** Digests of wants without an answer yet. */
  readonly #open = new Set<string>()
  #tasks = new Map<string, Task>()
  #working = false

  constructor(node: SimBackend, slot: number, world: World, send: (frame: Uint8Array) => void) {
    this.#node = node
    this.slot = slot
    this.#content = node.content
    this.#world = world
    this.#send = send
  }

  get size(): number {
    return this.#wants.size
  }

  isOpen(index: number): boolean {
    return this.#open.has(hex(this.#content.get(index).digest))
  }

  receive(bytes: Uint8Array): void {
    for (const frame of unframeWire(bytes)) {
      const message = decodeWire(frame)
      if (message.full) this.#node.verdicts.fail('a full wantlist went to a backend')
      this.#checkNames(message)
      const blocks = message.payload.map(({ data }) => data)
      if (blocks.length > 0) this.#node.received(this.slot, blocks)
      // boxo's order: the wants of a message first, then its cancels. Helia's is that of the message.
      if (this.#node.manner.ignoresRepeats) {
        for (const entry of message.entries.slice(0, entriesPerMessage)) this.#entry(entry)
      } else {
        for (const entry of message.entries) if (!entry.cancel) this.#entry(entry)
        for (const entry of message.entries) if (entry.cancel) this.#entry(entry)
      }
    }
    this.#work()
  }

  /** The backend has a block now that may be wanted here. */
  gained(index: number): void {
    const digest = hex(this.#content.get(index).digest)
    for (const [key, entry] of this.#wants) if (key.endsWith(digest)) this.#answer(key, entry)
    this.#work()
  }

  #checkNames(message: WireMessage): void {
    const names = new Set(message.entries.map((entry) => hex(entry.cid)))
    if (names.size < message.entries.length)
      this.#node.verdicts.fail('a CID twice in one message to a backend')
  }

  #entry(entry: WireEntry): void {
    const key = this.#keyOf(entry.cid)
    if (entry.cancel) {
      this.#wants.delete(key)
      this.#open.delete(key.slice(-32))
      this.#tasks.delete(key)
      this.#answered.delete(key)
      return
    }
    if (this.#isIgnored(key, entry)) return
    if (!this.#wants.has(key) && this.#wants.size >= capacity) {
      return this.#node.verdicts.fail(`ledger overflow at ${this.#node.relayed.name}`)
    }
    this.#node.verdicts.asks++
    const index = this.#content.named(entry.cid)?.index
    if (index !== undefined && this.#node.askedElsewhere(index, this.slot)) this.#node.verdicts.doubleAsks++
    this.#wants.set(key, entry)
    this.#open.add(key.slice(-32))
    if (!this.#world.chance(this.#node.manner.deaf ?? 0)) this.#answer(key, entry)
  }

  /** Helia tells wants apart by multihash, boxo by CID. */
  #keyOf(cid: Uint8Array): string {
    return hex(this.#node.manner.ignoresRepeats ? cid.subarray(cid.length - 32) : cid)
  }

  #isIgnored(key: string, entry: WireEntry): boolean {
    if (!this.#node.manner.ignoresRepeats) return false
    if (this.#wants.has(key)) return true
    const answered = this.#answered.get(key)
    if (answered === undefined || this.#world.now() - answered.atMs > repeatMs) return false
    return entry.have || !answered.entry.have
  }

  #answer(key: string, entry: WireEntry): void {
    const block = this.#content.named(entry.cid)
    const there = block !== undefined && this.#node.has.has(block.index)
    const { emptyPromises } = this.#node.manner
    if (emptyPromises && !there) {
      if (entry.have) this.#tasks.set(key, { key, entry, answer: 'have' })
    } else if (there) {
      const small = block.bytes.length <= smallBlockBytes
      this.#tasks.set(key, { key, entry, answer: entry.have && !small ? 'have' : 'block' })
    } else if (entry.sendDontHave) {
      this.#tasks.set(key, { key, entry, answer: 'dont-have' })
    }
  }

  #work(): void {
    if (this.#working || this.#tasks.size === 0) return
    this.#working = true
    this.#world.after(this.#node.latencyMs() / 4, () => {
      this.#working = false
      this.#node.whenAwake(() => this.#answerSome())
    })
  }

  #answerSome(): void {
    const message: WireMessage = { full: false, entries: [], blocks: [], payload: [], presences: [] }
    let size = 0
    for (const task of this.#tasks.values()) {
      if (size >= targetMessageBytes) break
      this.#tasks.delete(task.key)
      size += this.#put(task, message)
    }
    if (this.#world.chance(this.#node.manner.pushes ?? 0)) {
      const block = this.#world.pick(this.#content.blocks)
      message.payload.push({ prefix: prefixFor(cidOf(block, 'v1-raw')), data: block.bytes })
    }
    this.#send(encodeWire(message))
    this.#work()
  }

  /** Adds an answer to a message; like boxo, a want leaves the ledger when its answer is no DONT_HAVE. */
  #put(task: Task, message: WireMessage): number {
    const { cid } = task.entry
    this.#open.delete(task.key.slice(-32))
    if (task.answer !== 'dont-have') {
      this.#wants.delete(task.key)
      if (this.#node.manner.ignoresRepeats) {
        this.#answered.set(task.key, { entry: task.entry, atMs: this.#world.now() })
      }
    }
    const block = this.#content.named(cid)
    if (task.answer !== 'block' || block === undefined) {
      message.presences.push({ cid, have: task.answer === 'have' })
      return cid.length + 4
    }
    let data = block.bytes
    if (this.#world.chance(this.#node.manner.wrongBytes ?? 0)) {
      data = data.slice()
      data[data.length - 1] = (data.at(-1) as number) ^ 0x55
    }
    message.payload.push({ prefix: prefixFor(cid), data })
    return data.length
  }
}
