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
  /** Blocks per client that nobody has, wanted first; -1: without end. */
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
  /** After `seconds` want nothing more, and wait for what is outstanding. */
  readonly settle?: boolean
  /** Open loop: so many wants per second of all clients together; latencies count from when a want was due. */
  readonly ratePerSec?: number
  /** Hash every block; default true. */
  readonly verify?: boolean
  /** Never read what comes. */
  readonly slow?: boolean
  /** `mplex` is what js-ipfs speaks. */
  readonly muxers?: string
  /** `tls,noise` (as Kubo), or one of them. */
  readonly security?: string
  /** A command that takes the same flags and is run in the place of Go; default: `peer load`. */
  readonly program?: readonly [string, ...string[]]
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
  /** From the want's sending to its block or, where it is missing, to its DONT_HAVE; null where none came. */
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

/** What a run must not have. */
export const flawless = {
  lost: 0,
  wrong: 0,
  unfinished: 0,
  disconnects: 0,
  errors: 0,
  firstError: null,
} as const

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
  const child = await startLoadProcess(loadFlags(options), options.program)
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

function loadFlags(options: GoLoadOptions): string[] {
  return flags({
    peer: options.peer,
    udp: options.peer.includes('/udp/'),
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
    security: options.security,
    settle: options.settle,
    rate: options.ratePerSec,
  })
}

async function startLoadProcess(
  args: readonly string[],
  program: GoLoadOptions['program'],
): Promise<TestProcess> {
  const [command, ...first] = program ?? [await goBinary(), 'load']
  const child = await startProcess(command, [...first, ...args], {
    readyLine: isReadyOrFailed,
    readyTimeoutMs: 60_000,
  })
  if (child.ready.event === 'failed') throw new Error(`load: ${child.ready.error}`)
  return child
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

/** Clients that come with a new identity, want their blocks and go, `clients` at a time. */
export interface GoChurnOptions
  extends Pick<
    GoLoadOptions,
    | 'peer'
    | 'clients'
    | 'wants'
    | 'blocks'
    | 'blockBytes'
    | 'blockSeed'
    | 'count'
    | 'verify'
    | 'muxers'
    | 'security'
    | 'program'
  > {
  readonly seconds: number
}

/** What came of them; the counts are those of all visits together. */
export interface GoChurnResult extends GoLoadResult {
  readonly visits: number
  readonly visitsFailed: number
  /** From dialling to identified. */
  readonly connectP50ms: number | null
  readonly connectP99ms: number | null
}

/** Starts visits; `result` comes when the last visitor has gone. */
export async function startGoChurn(
  options: GoChurnOptions,
): Promise<Omit<GoLoad, 'reached' | 'result'> & { result(timeoutMs: number): Promise<GoChurnResult> }> {
  const child = await startLoadProcess([...loadFlags(options), '--churn=true'], options.program)
  return {
    process: child,
    async result(timeoutMs) {
      const line = await child.waitFor(({ event }) => event === 'result', timeoutMs)
      return line as unknown as GoChurnResult
    },
    stop: () => child.stop(),
  }
}

/** Connections that do nothing. */
export interface GoIdle {
  readonly process: TestProcess
  readonly connections: number
  stop(): Promise<void>
}

/** Opens connections and holds them until `stop`. */
export async function startGoIdle(options: {
  readonly peer: string
  readonly connections: number
  readonly muxers?: string
  readonly security?: string
  readonly program?: GoLoadOptions['program']
}): Promise<GoIdle> {
  const { connections, program, ...rest } = options
  const udp = rest.peer.includes('/udp/')
  const child = await startLoadProcess(flags({ ...rest, udp, idle: connections }), program)
  return { process: child, connections: Number(child.ready.clients), stop: () => child.stop() }
}

/** A node that asks whoever it is connected to for what nobody has. */
export interface GoWant {
  readonly process: TestProcess
  /** Where to dial it, with /p2p/…; none when it dialled. */
  readonly addr: string | undefined
  /** Resolves with the number of wants sent once it has asked for so long, connecting not included. */
  asked(seconds: number, timeoutMs: number): Promise<number>
  result(timeoutMs: number): Promise<GoWantResult>
  stop(): Promise<void>
}

/** What such a node did. */
export interface GoWantResult {
  readonly wants: number
  readonly seconds: number
  readonly firstError: string | null
  readonly cpuSeconds: number
}

/** Starts one; without `peer` it listens and begins once `connections` have come. */
export async function startGoWant(options: {
  readonly peer?: string
  readonly connections?: number
  readonly batch?: number
  readonly seconds: number
}): Promise<GoWant> {
  const child = await startProcess(await goBinary(), ['want', ...flags({ ...options })], {
    readyLine: isReadyOrFailed,
  })
  if (child.ready.event === 'failed') throw new Error(`go want: ${child.ready.error}`)
  return {
    process: child,
    addr: (child.ready.addrs as string[])[0],
    async asked(seconds, timeoutMs) {
      const line = await child.waitFor(
        (line) => line.event === 'progress' && Number(line.seconds) >= seconds,
        timeoutMs,
      )
      return Number(line.wants)
    },
    async result(timeoutMs) {
      const line = await child.waitFor(({ event }) => event === 'result', timeoutMs)
      return line as unknown as GoWantResult
    },
    stop: () => child.stop(),
  }
}
