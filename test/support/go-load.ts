/**
 * The load generator of the Go test peer: raw Bitswap clients that count what became of every want.
 */
import { flags, goBinary, isReadyOrFailed } from '#test/support/go-peer.ts'
import { startProcess, type TestProcess } from '#test/support/process.ts'

/** What the clients of a load run do. The other side must hold the seeded blocks 0 … `blocks` - 1. */
export interface GoLoadOptions {
  /** Multiaddr to dial, with /p2p/…. */
  readonly peer: string
  /** Default 1; each has its own identity and connection. */
  readonly clients?: number
  /** Outstanding wants per client; default 32. */
  readonly wants?: number
  readonly blocks: number
  readonly blockBytes: number
  readonly blockSeed?: number
  /** The slice: client i wants `count` blocks from `from + i * count` on; default an equal share each. */
  readonly from?: number
  readonly count?: number
  /** All clients want the same blocks. */
  readonly shared?: boolean
  readonly shuffle?: boolean
  /** Blocks per client that nobody has, wanted first. */
  readonly missing?: number
  readonly sendDontHave?: boolean
  /** `per-message` opens a stream for every message, as js-ipfs does. */
  readonly stream?: 'one' | 'per-message'
  readonly protocol?: string
  /** Cancels sent per block received (js-ipfs: 2). */
  readonly cancels?: number
  /** A want without its block for so long is lost; default 20 s. */
  readonly lostAfterMs?: number
  /** End after this time; default: when every want is settled. */
  readonly seconds?: number
  /** Start over when done, until `seconds`. */
  readonly loop?: boolean
  /** Hash every block; default true. */
  readonly verify?: boolean
  /** Never read what comes. */
  readonly slow?: boolean
  /** `mplex` is what js-ipfs speaks. */
  readonly muxers?: string
  /** For `goLoad`: by when the result must be there; default two minutes after `seconds`. */
  readonly deadlineMs?: number
}

/** What a load run counted. */
export interface GoLoadResult {
  readonly blocks: number
  readonly bytes: number
  readonly seconds: number
  readonly blocksPerSec: number
  readonly mibPerSec: number
  /** From the want's sending to its block; null where no block came. */
  readonly p50ms: number | null
  readonly p99ms: number | null
  readonly wanted: number
  /** Wants given up after `lostAfterMs`. */
  readonly lost: number
  /** Blocks that came after that. */
  readonly late: number
  /** Wants that were open when `seconds` were over. */
  readonly unfinished: number
  /** Blocks whose bytes or CID prefix are not of this run. */
  readonly wrong: number
  readonly duplicates: number
  /** Right blocks that this client never wanted. */
  readonly unwanted: number
  readonly haves: number
  /** All DONT_HAVEs, those for missing blocks included. */
  readonly dontHave: number
  readonly missingAsked: number
  /** Missing blocks that were answered with DONT_HAVE. */
  readonly missingDenied: number
  readonly messages: number
  readonly disconnects: number
  readonly errors: number
  readonly firstError: string | null
  readonly cpuSeconds: number
  readonly maxRssBytes: number
}

/** A running load run. Its process tells `{ event: 'progress', blocks, wanted, lost, errors, seconds }` 4 times a second. */
export interface GoLoad {
  readonly process: TestProcess
  /** Resolves once so many blocks have come. */
  reached(blocks: number, timeoutMs: number): Promise<void>
  result(timeoutMs: number): Promise<GoLoadResult>
  stop(): Promise<void>
}

/** Starts a load run; resolves once all clients are connected and the first wants go out. */
export async function startGoLoad(options: GoLoadOptions): Promise<GoLoad> {
  const args = [
    'load',
    ...flags({
      peer: options.peer,
      clients: options.clients,
      wants: options.wants,
      blocks: options.blocks,
      size: options.blockBytes,
      'block-seed': options.blockSeed,
      from: options.from,
      count: options.count,
      shared: options.shared,
      shuffle: options.shuffle,
      missing: options.missing,
      'send-dont-have': options.sendDontHave,
      stream: options.stream,
      protocol: options.protocol,
      cancels: options.cancels,
      'lost-after': options.lostAfterMs === undefined ? undefined : `${options.lostAfterMs}ms`,
      seconds: options.seconds,
      loop: options.loop,
      verify: options.verify,
      slow: options.slow,
      muxers: options.muxers,
    }),
  ]
  const child = await startProcess(await goBinary(), args, {
    readyLine: isReadyOrFailed,
    readyTimeoutMs: 60_000,
  })
  if (child.ready.event === 'failed') throw new Error(`go load: ${child.ready.error}`)
  return {
    process: child,
    async reached(blocks, timeoutMs) {
      await child.waitFor((line) => Number(line.blocks) >= blocks, timeoutMs)
    },
    async result(timeoutMs) {
      const line = await child.waitFor(({ event }) => event === 'result', timeoutMs)
      return line as unknown as GoLoadResult
    },
    stop: () => child.stop(),
  }
}

/** Runs a load to its end. */
export async function goLoad(options: GoLoadOptions): Promise<GoLoadResult> {
  const run = await startGoLoad(options)
  try {
    return await run.result(options.deadlineMs ?? (options.seconds ?? 0) * 1000 + 120_000)
  } finally {
    await run.stop()
  }
}
