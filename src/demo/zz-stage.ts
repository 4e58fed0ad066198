import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import type { Config } from '#src/config/config.ts'
import type { Environment, Machine } from '#src/config/environment.ts'
import { loadConfig } from '#src/config/load.ts'
import { type DemoFile, seededFile, textFile } from '#src/demo/content.ts'
import { type Fetched, fetchAll, type Placed } from '#src/demo/fetching.ts'
import { type Figures, readBackends } from '#src/demo/figures.ts'
import { type IpfsNode, startIpfsNode } from '#src/demo/zz-node.ts'
import { type EdgeOptions, type RunningEdge, startEdge } from '#src/edge.ts'
import { createKey } from '#src/p2p/identity.ts'
import { KitsuneError } from '#src/util/errors.ts'

/**
 * Everything that the demo runs, in one process: backends with content, the edge, and clients as they come.
 *
 * Invariant: whatever was started is in `#started` from the moment its start began, so `stop` finds it even
 * when the demo is ended in the middle of it. Nothing is written to disk.
 */

const mebibyte = 1024 * 1024
/** How often the edge is asked whether its backends are up, before the demo begins. */
const readyPollMs = 25
/** Peers that do not part within this time are left to the end of the process. */
const stopTimeoutMs = 5_000

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
    return { label, address, files: placed }
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
    const { host = '127.0.0.1', port } = running.admin ?? {}
    const edge = new DemoEdge(running, peerId.toString(), `http://${host}:${port}`, this.#signal)
    await edge.reachedAll()
    return edge
  }

  /** Starts a client that knows the edge and nobody else. */
  async startClient(edge: DemoEdge): Promise<IpfsNode> {
    const client = await this.#start(startIpfsNode({ listen: false }))
    await this.#within(client.connect(edge.address('tcp'), this.#signal))
    return client
  }

  /** Fetches everything that the backends hold with that client, by way of the edge, and compares it. */
  async fetch(client: IpfsNode, edge: DemoEdge, backends: readonly DemoBackend[]): Promise<Fetched[]> {
    const files = backends.flatMap((backend) => backend.files)
    const labels = new Map(backends.map(({ address, label }) => [address, label]))
    const figures = () => edge.figures(labels)
    return this.#within(fetchAll(files, { client, figures }, this.#signal))
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

/** The edge of the demo, as people can reach it. */
export class DemoEdge {
  readonly peerId: string
  readonly adminUrl: string
  /** Settles when the edge has ended. */
  readonly finished: Promise<void>
  readonly #listening: readonly string[]
  readonly #signal: AbortSignal

  constructor(running: RunningEdge, peerId: string, adminUrl: string, signal: AbortSignal) {
    this.peerId = peerId
    this.adminUrl = adminUrl
    this.finished = running.finished
    this.#listening = running.listening
    this.#signal = signal
  }

  /** Returns the multiaddr to dial. */
  address(transport: 'tcp' | 'ws'): string {
    const found = this.#listening.find((each) => each.includes('/ws/') === (transport === 'ws'))
    if (found === undefined) throw new KitsuneError('DEMO_NOT_LISTENING', 'The edge has no address')
    return found
  }

  /** Resolves once every backend is ready. */
  async reachedAll(): Promise<void> {
    while (!(await readBackends(this.adminUrl, this.#signal)).ready) {
      await delay(readyPollMs, undefined, { signal: this.#signal })
    }
  }

  /** Returns what each backend gave so far, under the names that the demo calls them by. */
  async figures(labels: ReadonlyMap<string, string>): Promise<Figures> {
    const { figures } = await readBackends(this.adminUrl, this.#signal)
    return new Map([...figures].map(([name, given]) => [labels.get(name) ?? name, given]))
  }
}
