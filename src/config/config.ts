import type { AdminListen } from '#src/config/addresses.ts'
import type { ListenAddress } from '#src/config/listen.ts'
import type { RpcCommand } from '#src/config/rpc-allow.ts'
import type { SecurityProtocol } from '#src/config/schema-security.ts'

/** What the environment says, checked and with defaults applied. Durations in ms, sizes in bytes. */
export interface Config {
  readonly backends: readonly BackendConfig[]
  /** Where the identity comes from; `created` is one that is made in `dataDir` when there is none yet. */
  readonly identity:
    | { readonly kind: 'file'; readonly path: string }
    | { readonly kind: 'inline'; readonly value: string }
    | { readonly kind: 'created'; readonly path: string }
  readonly dataDir: string
  /** As given or defaulted; the default has those of IPv6 only where the machine has it. */
  readonly listen: readonly ListenAddress[]
  /** Multiaddrs told to clients instead of the real ones; empty: public ones among the real ones. */
  readonly announce: readonly string[]
  /** Certificates of the wss doors, the one for unknown names first; empty: none. */
  readonly tls: readonly CertificatePaths[]
  /** Plain HTTP beside the web ports. */
  readonly http: {
    /** Multiaddrs `/ip4|ip6/…/tcp/…`; empty is off. */
    readonly listen: readonly string[]
    /** Directory with `.well-known/acme-challenge/`. */
    readonly acmeWebroot: string | undefined
  }
  /** How libp2p connections are secured: those of clients, and those to backends. */
  readonly security: { readonly front: ConnectionSecurity; readonly back: ConnectionSecurity }
  /** Load balancers in front. */
  readonly proxies: {
    /** CIDRs of those that are believed who is calling. */
    readonly trusted: readonly string[]
    /** Listeners on which every connection begins with a PROXY header. */
    readonly protocol: readonly ('tcp' | 'ws')[]
  }
  /** `undefined` is off. */
  readonly adminListen: AdminListen | undefined
  readonly region: string
  readonly log: { readonly level: LogLevel; readonly format: 'json' | 'pretty' }
  /** Back identities per backend. */
  readonly lanes: number
  readonly miss: {
    /** `fetch`: a backend with an RPC is told to fetch what no backend has. */
    readonly mode: 'fetch' | 'dont-have'
    readonly timeoutMs: number
    /** Fetches under way at once, in all. */
    readonly concurrency: number
    /** Fetches that one client may cause per minute. */
    readonly budgetPerMinute: number
    /** After this long a client that asked for presence is told DONT_HAVE, and may still get the block. */
    readonly answerAfterMs: number
  }
  readonly preload: {
    /** `refs` is served: a backend fetches from its caller what the caller names. */
    readonly on: boolean
    /** Backends that are to have it in the end. */
    readonly replicas: number
    /** How long a refs goes on while nothing comes of it, and at all. */
    readonly waitMs: number
    readonly ageMs: number
    /** Refs that one address may begin, and have under way; and all together. */
    readonly callsPerMinute: number
    readonly callsPerAddress: number
    readonly callsTotal: number
    /** Bytes pulled from clients: for one refs, for those of one address, and in all that are under way. */
    readonly bytes: number
    readonly bytesPerAddress: number
    readonly bytesTotal: number
    /** Blocks named likewise. */
    readonly blocks: number
    readonly blocksPerAddress: number
    readonly blocksTotal: number
    /** How far below its root a refs may reach. */
    readonly depth: number
    /** Block bytes on their way from clients to backends. */
    readonly bufferBytes: number
    /** How a backend is told to keep it: not at all, by a pin, or among its files. */
    readonly pin: 'false' | 'true' | 'mfs'
  }
  /** RPC paths that are forwarded to a backend, besides `refs`. */
  readonly rpcAllow: readonly RpcCommand[]
  /** Hot block cache; 0 is off. */
  readonly cacheBytes: number
  readonly maxConnections: number
  readonly maxConnectionsPerAddress: number
  readonly client: {
    /** Wants one client may have outstanding; more are refused. */
    readonly wants: number
    /** Wants taken from one client per second; more are read later. `Infinity` is no limit. */
    readonly wantsPerSecond: number
    /** Block bytes sent to one client per second; more are sent later. `Infinity` is no limit. */
    readonly bytesPerSecond: number
    /** Block bytes queued for one client that reads slowly. */
    readonly bufferBytes: number
    /** Block bytes queued for all clients together. */
    readonly bufferBytesTotal: number
  }
  readonly drainMs: number
}

/** Where a certificate and its key are; PEM. */
export interface CertificatePaths {
  readonly certFile: string
  readonly keyFile: string
}

/** How connections of one side are secured. */
export interface ConnectionSecurity {
  /** In the order in which they are offered; never empty. */
  readonly protocols: readonly SecurityProtocol[]
  /** 32 bytes; makes the network private. */
  readonly swarmKey?: Uint8Array
}

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent'

/** One entry of `KITSUNE_BACKENDS`. */
export type BackendConfig =
  | {
      readonly kind: 'rpc'
      /** As given, without credentials: what logs and `/backends` call it. */
      readonly name: string
      /** Origin and base path, no trailing slash: `http://10.0.0.11:5001`. */
      readonly url: string
      /** Value of the `Authorization` header, if the RPC asks for one. A secret. */
      readonly authorization?: string
      /** Origin and base path of its gateway, no trailing slash: `http://10.0.0.11:8080`. */
      readonly gateway?: string
    }
  | {
      readonly kind: 'multiaddr'
      readonly name: string
      /** Ends in `/p2p/<peer ID>`. */
      readonly multiaddr: string
      readonly gateway?: string
    }
