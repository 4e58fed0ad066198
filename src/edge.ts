import { publicKeyToProtobuf } from '@libp2p/crypto/keys'
import type { Libp2p } from 'libp2p'
import type { AdminListen } from '#src/config/addresses.ts'
import type { Config } from '#src/config/config.ts'
import { startHash } from '#src/content/digest.ts'
import { createRelay, preloadBy } from '#src/edge-core.ts'
import {
  checkAnnounced,
  createCertificates,
  openDoors,
  openPlainHttp,
  type PlainHttp,
} from '#src/edge-doors.ts'
import { watchFaults } from '#src/edge-faults.ts'
import { createLaneHosts } from '#src/edge-lanes.ts'
import { collectAll, movedBytes, QuietCollector, quietTickMs } from '#src/edge-memory.ts'
import { createWeb } from '#src/edge-web.ts'
import { createAdmin, type Readiness } from '#src/http/admin.ts'
import { type Served, serveHttp } from '#src/http/serve.ts'
import { unpackFault } from '#src/p2p/door/door-fault.ts'
import { Gate } from '#src/p2p/door/gater.ts'
import { Front } from '#src/p2p/front.ts'
import { connectionsByTransport, createFrontHost, type FrontHost } from '#src/p2p/host.ts'
import type { Identity } from '#src/p2p/identity.ts'
import { BackendPool } from '#src/p2p/pool.ts'
import type { Certificates } from '#src/p2p/web/certificates.ts'
import { type Relay, tickMs } from '#src/relay/relay.ts'
import { libp2pLogger } from '#src/telemetry/libp2p-logger.ts'
import { createLog, type Log } from '#src/telemetry/log.ts'
import { createMetrics, type DoorState, type Metrics } from '#src/telemetry/metrics.ts'

/**
 * The composition root: every part is built here from the config, started in one order and stopped in the
 * reverse. Nothing else knows how the parts fit together.
 */

export interface RunningEdge {
  /** Takes no new connections and no new wants; resolves once nothing is pending. */
  drain(): Promise<void>
  /** Closes everything at once. Idempotent. */
  stop(): Promise<void>
  /** Settles when the edge has stopped. */
  readonly finished: Promise<void>
  /** Where it really listens, with `/p2p/<peer ID>`. */
  readonly listening: readonly string[]
  /** Where the admin API listens; undefined when it is off. */
  readonly admin: AdminListen | undefined
}

export interface EdgeOptions {
  readonly identity: Identity
  readonly laneSeed: Uint8Array
  /** Where log lines go; standard output if absent. */
  readonly logDestination?: { write(line: string): void }
  readonly version: { readonly version: string; readonly commit: string; readonly runtime: string }
}

/** Starts an edge; resolves once it listens. Rejects with what an operator has to mend. */
export async function startEdge(config: Config, options: EdgeOptions): Promise<RunningEdge> {
  const { version, identity } = options
  checkAnnounced(config, identity.peerId.toString())
  const log = createLog({
    ...config.log,
    region: config.region,
    version: version.version,
    ...(options.logDestination && { destination: options.logDestination }),
  })
  let edge: Edge | undefined
  let front: Front | undefined
  const relay = createRelay(config, log, {
    stopping: () => edge?.stopping === true,
    reach: (address) => front?.reach(address),
  })
  const gate = new Gate({ refused: (reason) => relay.counters.refusedClient[reason]++ }, config)
  const hosts = await createLaneHosts(config, options, log, relay)
  const pool = new BackendPool(config.backends, { relay, hosts, log, startHash, preload: preloadBy(config) })
  const certificates = createCertificates(config, log)
  const frontHost = await createFrontHost({
    privateKey: identity.privateKey,
    version: version.version,
    listen: config.listen,
    announce: config.announce,
    proxies: config.proxies,
    security: config.security.front,
    ...(certificates && { certificates }),
    gate,
    handleRequest: (request, facts) => web.fetch(request, facts),
    keeping: { dataDir: config.dataDir, warn: (message, facts) => log.warn(facts, message) },
    logger: libp2pLogger(log),
  })
  front = new Front(frontHost.node, relay)
  const lanes = new Set(hosts.map((host) => host.peerId.toString()))
  const web = createWeb({
    config,
    relay,
    pool,
    log,
    self: () => ({ id: frontHost.node.peerId.toString(), addresses: edge?.addresses ?? [] }),
    isLane: (peerId) => lanes.has(peerId),
  })
  const metrics = createMetrics({
    counters: relay.counters,
    gauges: () => relay.gauges,
    publicRequests: web.counts,
    backends: () => pool.status,
    connections: () => connectionsByTransport(frontHost.node),
    doors: () => edge?.doors ?? [],
    certificates,
    version: version.version,
    commit: version.commit,
    region: config.region,
    runtime: version.runtime,
  })
  edge = new Edge({ config, log, relay, gate, hosts, pool, frontHost, front, metrics, certificates, options })
  try {
    await edge.start()
  } catch (error) {
    await edge.stop()
    throw error
  }
  return edge
}

interface Parts {
  readonly config: Config
  readonly log: Log
  readonly relay: Relay
  readonly gate: Gate
  readonly hosts: readonly Libp2p[]
  readonly pool: BackendPool
  readonly frontHost: FrontHost
  readonly front: Front
  readonly metrics: Metrics
  readonly certificates: Certificates | undefined
  readonly options: EdgeOptions
}

class Edge implements RunningEdge {
  readonly finished: Promise<void>
  admin: AdminListen | undefined
  doors: readonly DoorState[] = []
  readonly #parts: Parts
  readonly #finish: () => void
  #adminServer: Served | undefined
  #plainHttp: PlainHttp | undefined
  #ticker: ReturnType<typeof setInterval> | undefined
  #collector: ReturnType<typeof setInterval> | undefined
  #unwatch: (() => void) | undefined
  #draining = false
  #stopping: Promise<void> | undefined

  constructor(parts: Parts) {
    const finished = Promise.withResolvers<void>()
    this.#parts = parts
    this.finished = finished.promise
    this.#finish = finished.resolve
  }

  /** The doors first: the lanes take as long to start as everything else, and a client waits for its backend anyway. */
  async start(): Promise<void> {
    const { config, relay, hosts, pool, front, frontHost, metrics, log } = this.#parts
    const startedMs = performance.now()
    metrics.start()
    this.#unwatch = watchFaults((error) => {
      relay.counters.uncaughtFaults++
      log.error({ err: error }, 'A fault that nobody caught: please report it')
    })
    this.#ticker = setInterval(() => relay.tick(), tickMs)
    let opened = 0
    frontHost.node.addEventListener('connection:open', () => opened++)
    const quiet = new QuietCollector(() => movedBytes(relay.counters, opened), collectAll)
    this.#collector = setInterval(() => quiet.tick(), quietTickMs)
    await front.start()
    await openDoors(this.#parts, (doors) => {
      this.doors = doors
    })
    const self = frontHost.node.peerId.toString()
    if (config.http.listen.length > 0)
      this.#plainHttp = await openPlainHttp(config, this.#parts.gate, frontHost)
    if (config.adminListen !== undefined) {
      this.#adminServer = await serveHttp(this.#adminApp().fetch, config.adminListen)
      this.admin = this.#adminServer.address
    }
    if (frontHost.aead === 'wasm') {
      const reason = (await unpackFault()) ?? 'there is none for this platform'
      log.warn({ reason }, 'The native cipher did not load: encryption is slower')
    }
    log.info(
      {
        peer: self,
        listening: this.listening,
        admin: this.admin,
        ...(this.#plainHttp && { http: this.#plainHttp.listening }),
        ms: Math.round(performance.now() - startedMs),
      },
      'Kitsune listens',
    )
    await Promise.all(hosts.map((host) => host.start()))
    await pool.start()
  }

  async drain(): Promise<void> {
    const { gate, relay, log } = this.#parts
    if (this.#draining) return
    this.#draining = true
    gate.close()
    relay.drain()
    log.info({ pending: relay.gauges.pending }, 'Draining')
    await new Promise<void>((resolve) => {
      const check = setInterval(() => {
        if (!relay.idle && this.#stopping === undefined) return
        clearInterval(check)
        resolve()
      }, tickMs)
    })
  }

  get stopping(): boolean {
    return this.#stopping !== undefined
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #stop(): Promise<void> {
    const { front, frontHost, pool, hosts, metrics, log, relay } = this.#parts
    relay.stop()
    this.#parts.certificates?.stop()
    await front.stop()
    await frontHost.node.stop()
    await pool.stop()
    await Promise.all(hosts.map((host) => host.stop()))
    await this.#adminServer?.stop()
    await this.#plainHttp?.stop()
    clearInterval(this.#ticker)
    clearInterval(this.#collector)
    this.#unwatch?.()
    metrics.stop()
    log.info({}, 'Kitsune stopped')
    this.#finish()
  }

  get #readiness(): Readiness {
    const ready = this.#parts.pool.status.filter((backend) => backend.state === 'ready').length
    if (this.#draining) return { ready: false, draining: true, reason: 'draining' }
    if (ready === 0) return { ready: false, draining: false, reason: 'no backend is ready' }
    return { ready: true, draining: false }
  }

  #adminApp() {
    const { pool, frontHost, metrics, log, options } = this.#parts
    return createAdmin({
      readiness: () => this.#readiness,
      backends: () => pool.status,
      identity: () => ({
        id: frontHost.node.peerId.toString(),
        publicKey: publicKeyToProtobuf(options.identity.privateKey.publicKey),
        addresses: this.addresses,
        agentVersion: `kitsune/${options.version.version}`,
        protocols: frontHost.node.getProtocols(),
      }),
      metrics,
      onError: (error, path) => log.error({ err: error, path }, 'Admin request failed'),
    })
  }

  get listening(): readonly string[] {
    const { frontHost } = this.#parts
    const self = frontHost.node.peerId.toString()
    return frontHost.listening().map((address) => withPeer(address.toString(), self))
  }

  /** What clients are told; where that is nothing, as on a private network, where it listens. */
  get addresses(): string[] {
    const advertised = this.#parts.frontHost.advertised().map((address) => address.toString())
    return advertised.length > 0 ? advertised : [...this.listening]
  }
}

function withPeer(address: string, peer: string): string {
  return address.includes('/p2p/') ? address : `${address}/p2p/${peer}`
}
