/**
 * The Go test peer (test/peers/go): backends on boxo, a boxo client and a raw Bitswap load generator.
 *
 * The binary is built once per state of its sources, into .cache/peers; every child is owned by whoever
 * started it and ends with `stop()`.
 */
import { execFile, spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { buildOnce, hashOfFiles, peerCache, repositoryRoot } from '#test/support/build-once.ts'
import { startProcess, type TestProcess } from '#test/support/process.ts'

const sources = join(repositoryRoot, 'test', 'peers', 'go')

/** Whether a Go toolchain is there to build the peer. */
export function goAvailable(): boolean {
  return spawnSync('go', ['version']).status === 0
}

/** The path of the built peer. The first build downloads modules and compiles for up to a minute. */
export async function goBinary(): Promise<string> {
  const binary = join(peerCache, `go-${await hashOfFiles(sources, /\.go$|^go\.(mod|sum)$/)}`)
  await buildOnce(binary, async () => {
    const unfinished = `${binary}.${process.pid}`
    await promisify(execFile)('go', ['build', '-buildvcs=false', '-trimpath', '-o', unfinished, '.'], {
      cwd: sources,
    })
    await rename(unfinished, binary)
  })
  return binary
}

/** What a Go backend holds and how it behaves. Sizes in bytes; see `serve --help` of the peer. */
export interface GoServeOptions {
  /** Names its identity; default: a new one. */
  readonly seed?: string
  readonly listenPort?: number
  readonly rpcPort?: number
  /** Seeded raw blocks `firstBlock` <= index < `firstBlock + blocks`. */
  readonly blocks?: number
  readonly firstBlock?: number
  readonly blockBytes?: number
  readonly blockSeed?: number
  /** One seeded UnixFS file, whose root is `GoServe.root`. */
  readonly fileBytes?: number
  readonly fileSeed?: number
  /** Port of its gateway, 0: any. Default: it has none. */
  readonly gatewayPort?: number
  /** Every block is answered so late. */
  readonly delayMs?: number
  /** Every n-th block has wrong bytes. */
  readonly corruptEvery?: number
  /** A refs that fails before its first line is answered 200 with an `Err` line instead of 500. */
  readonly refsErrLine?: boolean
  /** `yamux` (as Kubo), or `yamux,mplex` to let js-ipfs dial it directly. */
  readonly muxers?: string
  /** Listens over ws too; the address is among `GoServe.addrs`. */
  readonly ws?: boolean
  /** `tls,noise` (as Kubo), or one of them. */
  readonly security?: string
  /** Path of the swarm.key of its private network; default: it is in none. */
  readonly swarmKey?: string
}

/** What `/test/stats` of a Go backend answers. */
export interface GoServeStats {
  /** Peer IDs connected. */
  readonly peers: readonly string[]
  readonly connections: number
  readonly blocksSent: number
  readonly bytesSent: number
  readonly blocksReceived: number
  readonly bytesReceived: number
  readonly duplicateBlocksReceived: number
  /** Wants of its own client that are open. */
  readonly pendingWants: number
  readonly messagesReceived: number
  readonly fullWantlists: number
  readonly wantBlocks: number
  readonly wantHaves: number
  readonly cancels: number
  readonly cpuSeconds: number
  readonly maxRssBytes: number
}

/** A running Go backend. */
export interface GoServe {
  readonly process: TestProcess
  readonly peerId: string
  /** Its first swarm address, with /p2p/…. */
  readonly addr: string
  readonly addrs: readonly string[]
  /** `http://127.0.0.1:PORT`. */
  readonly rpc: string
  /** The same of its gateway; null where it has none. */
  readonly gateway: string | null
  /** CID of the seeded file. */
  readonly root: string | null
  stats(): Promise<GoServeStats>
  /** Ends it, if it runs, and starts it again with the same identity, ports and content. */
  restart(): Promise<GoServe>
  /** SIGKILL: a backend that vanishes. */
  kill(): Promise<void>
  stop(): Promise<void>
}

/** Starts a Go backend. */
export async function startGoServe(options: GoServeOptions = {}): Promise<GoServe> {
  const kept = { ...options, seed: options.seed ?? randomUUID() }
  const child = await startProcess(await goBinary(), [
    'serve',
    ...flags({
      seed: kept.seed,
      listen: kept.listenPort,
      rpc: kept.rpcPort,
      gateway: kept.gatewayPort,
      blocks: kept.blocks,
      first: kept.firstBlock,
      size: kept.blockBytes,
      'block-seed': kept.blockSeed,
      file: kept.fileBytes,
      'file-seed': kept.fileSeed,
      delay: kept.delayMs,
      'corrupt-every': kept.corruptEvery,
      'refs-err-line': kept.refsErrLine,
      muxers: kept.muxers,
      ws: kept.ws,
      security: kept.security,
      'swarm-key': kept.swarmKey,
    }),
  ])
  const ready = child.ready as unknown as {
    peerId: string
    addrs: [string, ...string[]]
    rpc: string
    gateway: string | null
    root: string | null
  }
  const { peerId, addrs, rpc, gateway, root } = ready
  return {
    process: child,
    peerId,
    addr: addrs[0],
    addrs,
    rpc,
    gateway,
    root,
    async stats() {
      const response = await fetch(`${rpc}/test/stats`)
      return (await response.json()) as GoServeStats
    },
    async restart() {
      await child.stop()
      const listenPort = Number(/\/tcp\/(\d+)/.exec(addrs[0])?.[1])
      const rpcPort = Number(new URL(rpc).port)
      const gatewayPort = gateway === null ? {} : { gatewayPort: Number(new URL(gateway).port) }
      return startGoServe({ ...kept, listenPort, rpcPort, ...gatewayPort })
    },
    kill: () => child.kill(),
    stop: () => child.stop(),
  }
}

/** What a Go client fetched. */
export interface GoFetchResult {
  readonly blocks: number
  readonly bytes: number
  /** Of the UnixFS file's content, hex; null where the root is no file. */
  readonly sha256: string | null
  readonly ms: number
}

/** Fetches a whole DAG from one peer with boxo's Bitswap client; rejects when that fails. */
export async function goFetch(options: {
  readonly peer: string
  readonly cid: string
  readonly timeoutMs?: number
  readonly muxers?: string
  readonly security?: string
  readonly swarmKey?: string
}): Promise<GoFetchResult> {
  const { timeoutMs = 60_000, swarmKey, ...rest } = options
  const udp = rest.peer.includes('/udp/')
  const args = ['fetch', ...flags({ ...rest, udp, timeout: `${timeoutMs}ms`, 'swarm-key': swarmKey })]
  const child = await startProcess(await goBinary(), args, { readyLine: isReadyOrFailed })
  try {
    const line = await child.waitFor(({ event }) => event === 'done' || event === 'failed', timeoutMs + 5000)
    if (line.event === 'failed') throw new Error(`go fetch: ${line.error}`)
    return line as unknown as GoFetchResult
  } finally {
    await child.stop()
  }
}

/** The flag list of a Go command; what is undefined is left to the command's default. */
export function flags(values: Readonly<Record<string, string | number | boolean | undefined>>): string[] {
  const list: string[] = []
  for (const [name, value] of Object.entries(values)) {
    if (value !== undefined) list.push(`--${name}=${value}`)
  }
  return list
}

/** A Go command that cannot even start says `failed` instead of `ready`. */
export function isReadyOrFailed(line: { readonly event?: unknown }): boolean {
  return line.event === 'ready' || line.event === 'failed'
}
