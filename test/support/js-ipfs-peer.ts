/**
 * The js-ipfs test peer (test/peers/js-ipfs): ipfs-core 0.18.1 on Node, the client of the field.
 *
 * Its packages are installed from its own lockfile on first use. mplex and noise only, nobody known but who
 * is named, and its repository is a temporary directory that goes with it.
 */
import { execFile, spawnSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { buildOnce, hashOfFiles, repositoryRoot } from '#test/support/build-once.ts'
import { type ProcessLine, startProcess, type TestProcess } from '#test/support/process.ts'

const directory = join(repositoryRoot, 'test', 'peers', 'js-ipfs')

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

/** A running js-ipfs node. Its commands may overlap. */
export interface JsIpfs {
  readonly process: TestProcess
  readonly peerId: string
  connect(addr: string, timeoutMs?: number): Promise<void>
  cat(cid: string, timeoutMs?: number): Promise<JsIpfsContent>
  add(options: JsIpfsAddOptions, timeoutMs?: number): Promise<JsIpfsContent>
  peers(): Promise<readonly { readonly peer: string; readonly addr: string }[]>
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
    async peers() {
      const line = await run('peers', {}, 10_000)
      return line.peers as { peer: string; addr: string }[]
    },
    stop: () => child.stop(),
  }
}
