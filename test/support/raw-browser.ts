/**
 * A client that has something: it answers what the edge asks of it, in the manner that a test wants, and remembers
 * all that it was asked.
 *
 * It dials from an address of its own (127.0.0.x over tcp), so that several stand for clients in several places.
 */
import type { Connection, Stream } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import type { Libp2p } from 'libp2p'
import { CID } from 'multiformats/cid'
import { type BitswapHostOptions, startBitswapHost, writeAll } from '#test/support/bitswap-host.ts'
import type { DagBlock } from '#test/support/dag.ts'
import { type RawMessage, type RawWant, rawFrame } from '#test/support/raw-message.ts'
import { Watchers } from '#test/support/watchers.ts'

/** One want or cancel that the edge sent. */
export interface EdgeWant {
  readonly cid: string
  readonly have: boolean
  readonly cancel: boolean
  readonly sendDontHave: boolean
}

/**
 * How a browser answers. `honest`: blocks and presences, as Bitswap 1.2 has them. `js-ipfs`: the same as ipfs-core
 * 0.18.1 does it, over mplex and with small blocks instead of HAVE. `old-js-ipfs`: Bitswap 1.1, which knows blocks
 * only. `wrong`: other bytes under the right prefix. `denies`: DONT_HAVE for all. `boasts`: HAVE for all, and never a block. `silent`: nothing. `trickle`: the
 * beginning of a block, then a byte a second.
 */
export type Manner =
  | 'honest'
  | 'js-ipfs'
  | 'old-js-ipfs'
  | 'wrong'
  | 'denies'
  | 'boasts'
  | 'silent'
  | 'trickle'

/** How a browser is made. */
export interface RawBrowserOptions extends Pick<BitswapHostOptions, 'privateKey' | 'localAddress'> {
  readonly manner?: Manner
  readonly blocks?: readonly DagBlock[]
  /** Blocks are answered so late. */
  readonly delayMs?: number
}

/** A connected browser. */
export interface RawBrowser {
  readonly node: Libp2p
  readonly connection: Connection
  /** What the edge asked for and took back, in order. */
  readonly asked: readonly EdgeWant[]
  /** Blocks handed out, by CID: more than one is a waste. */
  readonly handedOut: ReadonlyMap<string, number>
  /** Has more to give from now on: what was asked for before and is here now goes out, as nodes do it. */
  add(blocks: readonly DagBlock[]): void
  /** Wants something of the edge, and resolves with its next message: by then it has dealt with what came before. */
  ask(want: RawWant, timeoutMs?: number): Promise<void>
  /** Resolves once `holds`, which is looked at after every message and block; rejects after `timeoutMs`. */
  until(holds: (browser: RawBrowser) => boolean, timeoutMs?: number): Promise<void>
  /** Drops the connection without a word. */
  vanish(): void
  stop(): Promise<void>
}

interface OpenWant {
  readonly cid: CID
  readonly have: boolean
  readonly sendDontHave: boolean
}

const trickleMs = 1_000
/** js-ipfs sends blocks up to this size to whoever asks whether it has them. */
const smallBlockBytes = 1024
const oldProtocols = ['/ipfs/bitswap/1.1.0', '/ipfs/bitswap/1.0.0']

/** Connects a browser to an edge. */
export async function startRawBrowser(address: string, options: RawBrowserOptions = {}): Promise<RawBrowser> {
  const manner = options.manner ?? 'honest'
  const contents = new Map<string, Uint8Array>()
  const asked: EdgeWant[] = []
  const handedOut = new Map<string, number>()
  const watchers = new Watchers()
  /** What the edge wants, by multihash. */
  const ledger = new Map<string, OpenWant>()
  let answers = 0
  const tell = (): void => {
    watchers.tell()
  }
  const timers = new Set<ReturnType<typeof setTimeout>>()
  const later = (ms: number, act: () => void): void => {
    const timer = setTimeout(() => {
      timers.delete(timer)
      act()
    }, ms)
    timers.add(timer)
  }

  const node = await startBitswapHost({
    ...options,
    muxer: manner.endsWith('js-ipfs') ? 'mplex' : 'yamux',
    ...(manner === 'old-js-ipfs' && { protocols: oldProtocols }),
    receive(message, from) {
      const wants = message.wants.map((want) => ({ ...want, cid: CID.decode(want.cid.slice()) }))
      if (message.blocks.length + message.presences.length > 0) answers++
      asked.push(...wants.map((want) => ({ ...want, cid: want.cid.toString() })))
      tell()
      for (const want of wants) {
        if (want.cancel) ledger.delete(keyOf(want.cid))
        else ledger.set(keyOf(want.cid), want)
      }
      const open = wants.filter(({ cancel }) => !cancel)
      if (open.length === 0) return
      if (options.delayMs === undefined) answer(from, open)
      else
        later(options.delayMs, () =>
          answer(
            from,
            open.filter((want) => ledger.get(keyOf(want.cid)) === want),
          ),
        )
    },
  })

  const answer = (to: Connection, wants: readonly OpenWant[]): void => {
    // The edge may be gone by then.
    void reply(to, wants).catch(() => {})
  }

  const reply = async (to: Connection, wants: readonly OpenWant[]) => {
    if (manner === 'silent') return
    if (manner === 'denies') return send(to, { dontHaves: wants.map(({ cid }) => cid.bytes) })
    if (manner === 'boasts') return send(to, { haves: wants.map(({ cid }) => cid.bytes) })
    const has = wants.filter(({ cid }) => contents.has(keyOf(cid)))
    const asBlock = ({ cid, have }: OpenWant): boolean =>
      !have || (manner === 'js-ipfs' && (contents.get(keyOf(cid))?.length ?? 0) <= smallBlockBytes)
    if (manner !== 'old-js-ipfs') {
      const haves = has.filter((want) => !asBlock(want)).map(({ cid }) => cid.bytes)
      const denied = wants.filter(({ cid, sendDontHave }) => sendDontHave && !contents.has(keyOf(cid)))
      const dontHaves = denied.map(({ cid }) => cid.bytes)
      if (haves.length + dontHaves.length > 0) await send(to, { haves, dontHaves })
    }
    for (const { cid } of has.filter(asBlock)) {
      const bytes = contents.get(keyOf(cid)) as Uint8Array
      ledger.delete(keyOf(cid))
      handedOut.set(cid.toString(), (handedOut.get(cid.toString()) ?? 0) + 1)
      tell()
      if (manner === 'trickle') await trickle(to, rawFrame(blockMessage(cid, bytes)))
      else await send(to, blockMessage(cid, manner === 'wrong' ? changed(bytes) : bytes))
    }
  }

  const protocol = manner === 'old-js-ipfs' ? oldProtocols : '/ipfs/bitswap/1.2.0'
  const streamTo = (to: Connection): Promise<Stream> =>
    to.newStream(protocol, { maxOutboundStreams: 4096, signal: AbortSignal.timeout(20_000) })

  /** A stream for each message, as boxo and js-ipfs do. */
  const send = async (to: Connection, message: RawMessage): Promise<void> => {
    const stream = await streamTo(to)
    await writeAll(stream, rawFrame(message))
    await stream.close()
  }

  const trickle = async (to: Connection, frame: Uint8Array): Promise<void> => {
    const stream = await streamTo(to)
    const next = (at: number): void => {
      if (at >= frame.length || stream.status !== 'open') return
      stream.send(frame.slice(at, at + 1))
      later(trickleMs, () => next(at + 1))
    }
    stream.send(frame.slice(0, 8))
    later(trickleMs, () => next(8))
  }

  const add = (blocks: readonly DagBlock[]): void => {
    for (const { cid, bytes } of blocks) contents.set(keyOf(cid), bytes)
  }
  add(options.blocks ?? [])

  const connection = await node.dial(multiaddr(address), { signal: AbortSignal.timeout(20_000) })
  const browser: RawBrowser = {
    node,
    connection,
    asked,
    handedOut,
    add(blocks) {
      add(blocks)
      const wanted = blocks.map(({ cid }) => ledger.get(keyOf(cid))).filter((want) => want !== undefined)
      if (wanted.length > 0) answer(connection, wanted)
    },
    async ask(want, timeoutMs = 10_000) {
      const before = answers
      await send(connection, { wants: [want] })
      await browser.until(() => answers > before, timeoutMs)
    },
    until: (holds, timeoutMs = 10_000) =>
      watchers.until(
        () => holds(browser),
        timeoutMs,
        () => {
          const handed = [...handedOut.values()].reduce((sum, times) => sum + times, 0)
          return `${holds}; asked ${asked.length}, handed out ${handed}`
        },
      ),
    // On a turn of its own: mplex throws when a connection ends in the turn in which a stream begins.
    vanish: () => void setImmediate(() => connection.abort(new Error('vanished'))),
    async stop() {
      for (const timer of timers) clearTimeout(timer)
      timers.clear()
      await node.stop()
    },
  }
  return browser
}

/** Blocks are the same whatever the form of their CID. */
const keyOf = (cid: CID): string => Buffer.from(cid.multihash.bytes).toString('hex')

/** The CID without its digest. */
const prefixOf = (cid: CID): Uint8Array => Uint8Array.of(cid.version, ...codecVarint(cid.code), 0x12, 32)

/** Codecs of tests are below 0x4000. */
const codecVarint = (code: number): number[] => (code < 128 ? [code] : [(code & 127) | 128, code >> 7])

const blockMessage = (cid: CID, bytes: Uint8Array): RawMessage => ({
  blocks: [{ prefix: prefixOf(cid), bytes }],
})

function changed(bytes: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(bytes)
  copy[copy.length - 1]! ^= 1
  return copy
}
