/**
 * The js-ipfs test peer (test/peers/js-ipfs): ipfs-core 0.18.1 on Node, the client of the field.
 *
 * Its packages are installed from its own lockfile on first use. mplex and noise only, nobody known but who
 * is named, and its repository is a temporary directory that goes with it.
 */
import { execFile, spawnSync } from 'node:child_process'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { buildOnce, hashOfFiles, repositoryRoot } from '#test/support/build-once.ts'
import { type ProcessLine, startProcess, type TestProcess } from '#test/support/process.ts'

const directory = join(repositoryRoot, 'test', 'peers', 'js-ipfs')

/** Its browser build, as a page loads it; there once the packages are installed. */
export const jsIpfsBrowserBuild = join(directory, 'node_modules', 'ipfs-core', 'dist', 'index.min.js')

/** Whether a Node that runs ipfs-core 0.18.1 is there: 20, 21 or 22. */
export function jsIpfsAvailable(): boolean {
  const { status, stdout } = spawnSync('node', ['--version'], { encoding: 'utf8' })
  const major = Number(/^v(\d+)/.exec(stdout ?? '')?.[1])
  return status === 0 && major >= 20 && major < 23
}

/** Installs the packages of the peer from its lockfile, once per lockfile. Takes up to a minute. */
export async function installJsIpfs(): Promise<void> {
  const lockHash = await hashOfFiles(directory, /^package(-lock)?\.json$/)
  const installed = join(directory, `node_modules/.installed-${lockHash}`)
  await buildOnce(installed, async () => {
    await promisify(execFile)('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
      cwd: directory,
      maxBuffer: 16 * 1024 * 1024,
    })
    await writeFile(installed, '')
  })
}

/** Whom a js-ipfs node knows. */
export interface JsIpfsOptions {
  /** Multiaddrs that it dials about ten seconds after its start. */
  readonly bootstrap?: readonly string[]
  /** Preload nodes as multiaddrs: `/ip4/127.0.0.1/tcp/8080/http`. */
  readonly preload?: readonly string[]
  /** Dials its bootstrap so often until it is connected, instead of every ten seconds. */
  readonly autoDialMs?: number
  /** Where its connections and HTTP requests come from: 127.0.0.x. */
  readonly localAddress?: string
}

/** What was read or added. */
export interface JsIpfsContent {
  readonly cid: string
  readonly bytes: number
  readonly sha256: string
  readonly ms: number
}

/** What to add: a seeded file (see seeded-content.ts). */
export interface JsIpfsAddOptions {
  readonly bytes: number
  readonly seed: number
  /** Default 1. */
  readonly cidVersion?: 0 | 1
  /** Default true with CIDv1. */
  readonly rawLeaves?: boolean
  /** False keeps it from the preload nodes. */
  readonly preload?: boolean
}

/** A directory of seeded files; file i has the seed `seed + i`. */
export interface JsIpfsDirectoryOptions {
  readonly files: number
  readonly fileBytes: number
  readonly seed: number
  /** Default 1. */
  readonly cidVersion?: 0 | 1
}

/** A directory that was read or added; `sha256` is over the digests and names of its files. */
export interface JsIpfsDirectory {
  readonly cid: string
  readonly files: number
  readonly sha256: string
  readonly ms: number
}

/** How a preload request of the node ended: see test/peers/js-ipfs/preload-watch.mjs. */
export interface JsIpfsPreload {
  readonly cid: string
  /** 2xx, ended by itself and listed no error. */
  readonly ok: boolean
  /** 0: no answer at all. */
  readonly status: number
  /** Refs listed. */
  readonly lines: number
  readonly error?: string
  readonly ms: number
}

/** A running js-ipfs node. Its commands may overlap. */
export interface JsIpfs {
  readonly process: TestProcess
  readonly peerId: string
  connect(addr: string, timeoutMs?: number): Promise<void>
  cat(cid: string, timeoutMs?: number): Promise<JsIpfsContent>
  add(options: JsIpfsAddOptions, timeoutMs?: number): Promise<JsIpfsContent>
  /** Adds a directory; the node preloads its root. */
  addDirectory(options: JsIpfsDirectoryOptions, timeoutMs?: number): Promise<JsIpfsDirectory>
  catDirectory(cid: string, timeoutMs?: number): Promise<JsIpfsDirectory>
  /** Resolves with the end of the first preload request for a CID, past or future. */
  preloaded(cid: string, timeoutMs?: number): Promise<JsIpfsPreload>
  peers(): Promise<readonly { readonly peer: string; readonly addr: string }[]>
  /** SIGKILL: a page that is closed. */
  kill(): Promise<void>
  stop(): Promise<void>
}

/** Starts a js-ipfs node. */
export async function startJsIpfs(options: JsIpfsOptions = {}): Promise<JsIpfs> {
  await installJsIpfs()
  const child = await startProcess('node', ['peer.mjs', JSON.stringify(options)], {
    cwd: directory,
    readyTimeoutMs: 60_000,
  })
  let commands = 0
  const run = async (cmd: string, args: ProcessLine, timeoutMs: number): Promise<ProcessLine> => {
    const id = ++commands
    child.send({ cmd, id, timeoutMs, ...args })
    // The node's own timeout is to be heard first.
    const line = await child.waitFor((answer) => answer.id === id, timeoutMs + 2000)
    if (line.event === 'error') throw new Error(`js-ipfs ${cmd}: ${line.error}`)
    return line
  }
  return {
    process: child,
    peerId: String(child.ready.peerId),
    async connect(addr, timeoutMs = 20_000) {
      await run('connect', { addr }, timeoutMs)
    },
    async cat(cid, timeoutMs = 60_000) {
      return (await run('cat', { cid }, timeoutMs)) as unknown as JsIpfsContent
    },
    async add(content, timeoutMs = 60_000) {
      return (await run('add', { ...content }, timeoutMs)) as unknown as JsIpfsContent
    },
    async addDirectory(content, timeoutMs = 60_000) {
      return (await run('addDirectory', { ...content }, timeoutMs)) as unknown as JsIpfsDirectory
    },
    async catDirectory(cid, timeoutMs = 60_000) {
      return (await run('catDirectory', { cid }, timeoutMs)) as unknown as JsIpfsDirectory
    },
    async preloaded(cid, timeoutMs = 60_000) {
      const isEnd = (line: ProcessLine): boolean => line.event === 'preloaded' && line.cid === cid
      return (await child.waitFor(isEnd, timeoutMs)) as unknown as JsIpfsPreload
    },
    async peers() {
      const line = await run('peers', {}, 10_000)
      return line.peers as { peer: string; addr: string }[]
    },
    async kill() {
      await child.kill()
      await rm(String(child.ready.repo), { recursive: true, force: true })
    },
    stop: () => child.stop(),
  }
}
