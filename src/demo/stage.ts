import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import type { Config } from '#src/config/config.ts'
import type { Environment, Machine } from '#src/config/environment.ts'
import { loadConfig } from '#src/config/load.ts'
import { serveBackendRpc } from '#src/demo/backend-rpc.ts'
import { type DemoFile, seededFile, textFile } from '#src/demo/content.ts'
import { DemoEdge } from '#src/demo/demo-edge.ts'
import { type Fetched, fetchAll, type Placed } from '#src/demo/fetching.ts'
import { type IpfsNode, startIpfsNode } from '#src/demo/ipfs-node.ts'
import { type Preloaded, preload } from '#src/demo/preloading.ts'
import { type EdgeOptions, startEdge } from '#src/edge.ts'
import { createKey } from '#src/p2p/identity.ts'
import { KitsuneError } from '#src/util/errors.ts'

/**
 * Everything that the demo runs, in one process: backends with content, the edge, and clients as they come.
 *
 * Invariant: whatever was started is in `#started` from the moment its start began, so `stop` finds it even
 * when the demo is ended in the middle of it. Nothing is kept on disk.
 */

const mebibyte = 1024 * 1024
/** Peers that do not part within this time are left to the end of the process. */
const stopTimeoutMs = 5_000
const situationTimeoutMs = 1_000

/** A backend of the demo. */
export interface DemoBackend {
  /** What people call it, such as `backend A`. */
  readonly label: string
  readonly address: string
  readonly files: readonly Placed[]
}

export interface StageOptions {
  readonly version: EdgeOptions['version']
  readonly machine: Machine
  /** Only the variables of the log are taken from it. */
  readonly env: Environment
}

interface Stoppable {
  stop(): Promise<void>
}

export class Stage {
  readonly #options: StageOptions
  readonly #signal: AbortSignal
  readonly #started: Promise<Stoppable>[] = []
  readonly #clients: IpfsNode[] = []
  #edge: DemoEdge | undefined

  /** Once `signal` aborts, nothing more is started and whatever is under way rejects. */
  constructor(options: StageOptions, signal: AbortSignal) {
    this.#options = options
    this.#signal = signal
  }

  /** Starts the IPFS nodes, each with content that the other does not have. */
  async startBackends(): Promise<DemoBackend[]> {
    const contents: readonly [string, readonly DemoFile[]][] = [
      ['backend A', [seededFile('film.bin', 1, 8 * mebibyte)]],
      [
        'backend B',
        [seededFile('album.bin', 2, 3 * mebibyte), textFile('hello.txt', 'Hello from behind the edge!\n')],
      ],
    ]
    return Promise.all(contents.map(([label, files]) => this.#startBackend(label, files)))
  }

  async #startBackend(label: string, files: readonly DemoFile[]): Promise<DemoBackend> {
    const node = await this.#start(startIpfsNode({ listen: true }))
    const { address } = node
    if (address === undefined) throw new KitsuneError('DEMO_NOT_LISTENING', 'An IPFS node has no address')
    const placed: Placed[] = []
    for (const file of files) placed.push({ file, holder: label, cid: await this.#within(node.add(file)) })
    const rpc = await this.#start(serveBackendRpc(node))
    return { label, address: rpc.url, files: placed }
  }

  /** Starts an edge with a fresh identity in front of the backends; resolves once it has reached them all. */
  async startEdge(backends: readonly DemoBackend[]): Promise<DemoEdge> {
    const privateKey = await createKey('ed25519')
    const peerId = peerIdFromPrivateKey(privateKey)
    const running = await this.#start(
      startEdge(this.#config(backends), {
        identity: { privateKey, peerId, origin: 'demo', created: true, warnings: [] },
        laneSeed: randomBytes(32),
        version: this.#options.version,
      }),
    )
    if (running.admin === undefined || 'path' in running.admin)
      throw new Error('the demo needs its admin port')
    const { host, port } = running.admin
    this.#edge = new DemoEdge(running, peerId.toString(), `http://${host}:${port}`)
    await this.#within(this.#edge.reachedAll(this.#signal))
    return this.#edge
  }

  /** Starts a client that knows the edge and nobody else. */
  async startClient(edge: DemoEdge): Promise<IpfsNode> {
    const client = await this.#start(startIpfsNode({ listen: false }))
    this.#clients.push(client)
    await this.#within(client.connect(edge.address('tcp'), this.#signal))
    return client
  }

  /**
   * A page adds a file, tells the edge, and is gone for good as soon as the edge says that a backend has it.
   */
  async preload(edge: DemoEdge, file: DemoFile): Promise<Preloaded> {
    const page = await this.startClient(edge)
    const preloaded = await this.#within(preload(page, file, edge.webUrl, this.#signal))
    this.#clients.splice(this.#clients.indexOf(page), 1)
    await this.#within(page.stop())
    return preloaded
  }

  /** Fetches files (everything that the backends hold) with that client, by way of the edge, and compares it. */
  async fetch(
    client: IpfsNode,
    edge: DemoEdge,
    backends: readonly DemoBackend[],
    files: readonly Placed[] = backends.flatMap((backend) => backend.files),
  ): Promise<Fetched[]> {
    const labels = new Map(backends.map(({ address, label }) => [address, label]))
    const figures = () => edge.figures(labels, this.#signal)
    return this.#within(fetchAll(files, { client, figures }, this.#signal))
  }

  /** Returns where things stand, for a demo that takes too long: it tells which part is waited for. */
  async situation(): Promise<string> {
    if (this.#edge === undefined) return 'The edge did not start.'
    const backends = await this.#edge.states(AbortSignal.timeout(situationTimeoutMs)).catch(() => undefined)
    if (backends === undefined) return 'The edge does not answer.'
    const connected = this.#clients.filter(({ peers }) => peers.length > 0).length
    const states = backends.map(({ state, blocks }) => `${state} with ${blocks} blocks given`).join(', ')
    return `Of ${this.#clients.length} clients ${connected} are connected; the backends are ${states}.`
  }

  /** Ends whatever was started, the last first. Idempotent, and bounded in time. */
  async stop(): Promise<void> {
    const started = this.#started.splice(0).reverse()
    const parting = (async () => {
      for (const each of started) await each.then((part) => part.stop()).catch(() => undefined)
    })()
    const timer = new AbortController()
    await Promise.race([parting, delay(stopTimeoutMs, undefined, { signal: timer.signal }).catch(() => {})])
    timer.abort()
  }

  async #start<T extends Stoppable>(starting: Promise<T>): Promise<T> {
    this.#started.push(starting)
    return this.#within(starting)
  }

  /** Rejects as soon as the demo is ended, however long the work itself takes. */
  async #within<T>(work: Promise<T>): Promise<T> {
    const ended = Promise.withResolvers<never>()
    const end = () => ended.reject(this.#signal.reason)
    if (this.#signal.aborted) end()
    this.#signal.addEventListener('abort', end, { once: true })
    try {
      return await Promise.race([work, ended.promise])
    } finally {
      this.#signal.removeEventListener('abort', end)
    }
  }

  #config(backends: readonly DemoBackend[]): Config {
    const { env, machine } = this.#options
    const loaded = loadConfig(
      {
        KITSUNE_BACKENDS: backends.map(({ address }) => address).join(','),
        KITSUNE_LISTEN: '/ip4/127.0.0.1/tcp/0,/ip4/127.0.0.1/tcp/0/ws',
        KITSUNE_ADMIN_LISTEN: '127.0.0.1:0',
        // A backend of the demo has nobody else to fetch from.
        KITSUNE_MISS: 'dont-have',
        KITSUNE_LOG_LEVEL: env.KITSUNE_LOG_LEVEL ?? 'error',
      },
      machine,
    )
    if (loaded.kind === 'ok') return loaded.config
    throw new KitsuneError('CONFIG_DEMO', 'The demo cannot be configured', {
      facts: { reason: loaded.problems.map(({ variable, message }) => `${variable} ${message}`).join('; ') },
    })
  }
}
