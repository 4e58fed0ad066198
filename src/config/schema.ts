import * as v from 'valibot'
import { parseAdminListen, parseAnnounce } from '#src/config/addresses.ts'
import { maskBackends, parseBackends } from '#src/config/backends.ts'
import { listenVariables } from '#src/config/schema-listen.ts'
import { preloadVariables } from '#src/config/schema-preload.ts'
import { proxyVariables } from '#src/config/schema-proxies.ts'
import { rpcVariables } from '#src/config/schema-rpc.ts'
import { securityVariables } from '#src/config/schema-security.ts'
import { tlsVariables } from '#src/config/schema-tls.ts'
import * as values from '#src/config/values.ts'
import { list, many, one, variable, within } from '#src/config/variable.ts'

const { formatDuration, formatSize, parseDuration, parseSize } = values

/** A block may be this large, so nothing that must hold one may be smaller. */
const maxBlockBytes = 2 * 1024 ** 2

const region = v.pipe(
  v.string(),
  v.trim(),
  v.regex(
    /^[A-Za-z0-9._-]{1,63}$/,
    'is not a plain label (letters, digits, dot, dash, underscore; at most 63)',
  ),
)
const path = v.pipe(v.string(), v.trim())
const count = (min: number, max: number) => one((text) => values.parseCount(text, min, max))
const choice = <T extends string>(...choices: T[]) => one((text) => values.parseChoice(text, choices))

/**
 * Every variable of the environment, once. Its names and meanings are a contract with those who run edges: they
 * stay. The order is the order in which people read it.
 */
export const schema = {
  backends: variable({
    name: 'KITSUNE_BACKENDS',
    section: 'Backends',
    description:
      'The pool, comma-separated: the RPC of a Kubo node (peer ID and swarm addresses are learned from it), or a swarm address with its peer ID. ;gateway=http://host:8080 behind an entry names the gateway of that node: large blocks are read there where that is faster (see also KITSUNE_RPC_ALLOW).',
    allowed:
      'http(s)://[user:password@]host:port[/path] or /ip4/…/tcp/…/p2p/…, each with or without ;gateway=…, comma-separated',
    default: 'none; it must be set',
    example:
      'http://10.0.0.11:5001,/ip4/10.0.0.12/tcp/4001/p2p/12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5',
    mask: maskBackends,
    schema: many(parseBackends),
  }),
  lanes: variable({
    name: 'KITSUNE_LANES',
    section: 'Backends',
    description:
      'Private identities with which every backend is dialled. A backend keeps one queue of 1024 wants per peer, so more lanes hold more wants.',
    allowed: 'a whole number from 1 to 16',
    default: '4',
    example: '8',
    schema: count(1, 16),
  }),
  keyFile: variable({
    name: 'KITSUNE_KEY_FILE',
    section: 'Identity',
    description:
      'File with the private key of the public identity: libp2p protobuf (raw or base64), a Kubo config file, or PEM (PKCS#8).',
    allowed: 'a path',
    default: 'a key that is created in KITSUNE_DATA_DIR',
    example: '/etc/kitsune/identity.key',
    schema: path,
  }),
  key: variable({
    name: 'KITSUNE_KEY',
    section: 'Identity',
    description: 'The private key itself, in place of KITSUNE_KEY_FILE.',
    allowed: 'a libp2p private key in base64, or PEM (PKCS#8)',
    default: 'none',
    example: 'CAESQ…',
    secret: true,
    schema: path,
  }),
  dataDir: variable({
    name: 'KITSUNE_DATA_DIR',
    section: 'Identity',
    description: 'Directory for a key that was created and for the seed of the lanes.',
    allowed: 'a path of a directory that can be written',
    default: '$STATE_DIRECTORY, else ./kitsune-data',
    example: '/var/lib/kitsune',
    schema: path,
  }),
  ...listenVariables,
  announce: variable({
    name: 'KITSUNE_ANNOUNCE',
    section: 'Addresses',
    description:
      'Addresses told to clients in place of the real ones, comma-separated multiaddrs. webrtc-direct and webtransport get the hashes of their certificates.',
    allowed:
      'multiaddrs that can be dialled (/ip4, /ip6, /dns4, /dns6, /dnsaddr), with or without /p2p/…, comma-separated',
    default: 'the public ones among the real ones; of wss, the names in its certificate',
    example: '/dns4/node0.example.net/tcp/4001,/dns4/node0.example.net/tcp/443/wss',
    schema: list(parseAnnounce),
  }),
  ...tlsVariables,
  ...securityVariables,
  ...proxyVariables,
  adminListen: variable({
    name: 'KITSUNE_ADMIN_LISTEN',
    section: 'Addresses',
    description:
      'Where health, metrics and the state of the backends are served by HTTP: a port, or a socket of mode 0660. Keep it private; kitsune addrs and kitsune doctor ask there.',
    allowed: 'address:port, unix:/path (or /unix/path), or off',
    default: '127.0.0.1:9090',
    example: 'unix:/run/kitsune/admin.sock',
    schema: one(parseAdminListen),
  }),
  region: variable({
    name: 'KITSUNE_REGION',
    section: 'Operation',
    description: 'A label on every log line and on the build info metric.',
    allowed: 'letters, digits, dot, dash and underscore, at most 63',
    default: 'none',
    example: 'eu-central',
    schema: region,
  }),
  logLevel: variable({
    name: 'KITSUNE_LOG_LEVEL',
    section: 'Operation',
    description: 'The least severe line that is logged.',
    allowed: 'trace, debug, info, warn, error or silent',
    default: 'info',
    example: 'debug',
    schema: choice('trace', 'debug', 'info', 'warn', 'error', 'silent'),
  }),
  logFormat: variable({
    name: 'KITSUNE_LOG_FORMAT',
    section: 'Operation',
    description: 'One JSON object per line, or lines for people.',
    allowed: 'json or pretty',
    default: 'pretty on a terminal, else json',
    example: 'json',
    schema: choice('json', 'pretty'),
  }),
  drain: variable({
    name: 'KITSUNE_DRAIN',
    section: 'Operation',
    description: 'How long SIGTERM waits for pending wants before it closes.',
    allowed: 'a duration such as 30s, at most 1h',
    default: '30s',
    example: '2m',
    schema: within(parseDuration, { max: 3_600_000 }, formatDuration),
  }),
  miss: variable({
    name: 'KITSUNE_MISS',
    section: 'Misses',
    description:
      'What happens to a want that no backend has: one backend is told by RPC to fetch it, or the client is told DONT_HAVE.',
    allowed: 'fetch (needs a backend with an RPC) or dont-have',
    default: 'fetch where a backend has an RPC, else dont-have',
    example: 'dont-have',
    schema: choice('fetch', 'dont-have'),
  }),
  missTimeout: variable({
    name: 'KITSUNE_MISS_TIMEOUT',
    section: 'Misses',
    description: 'How long a backend may take to fetch what it does not have.',
    allowed: 'a duration from 100ms to 1h',
    default: '30s',
    example: '1m',
    schema: within(parseDuration, { min: 100, max: 3_600_000 }, formatDuration),
  }),
  missConcurrency: variable({
    name: 'KITSUNE_MISS_CONCURRENCY',
    section: 'Misses',
    description: 'Fetches under way at once, for all clients together.',
    allowed: 'a whole number from 1 to 10000',
    default: '64',
    example: '256',
    schema: count(1, 10_000),
  }),
  missBudget: variable({
    name: 'KITSUNE_MISS_BUDGET',
    section: 'Misses',
    description: 'Fetches that one client may cause per minute.',
    allowed: 'a number per minute such as 600/min',
    default: '600/min',
    example: '60/min',
    schema: one(values.parseBudget),
  }),
  missAnswerAfter: variable({
    name: 'KITSUNE_MISS_ANSWER_AFTER',
    section: 'Misses',
    description:
      'After this long a client that asked for presence is told DONT_HAVE, so that it can look elsewhere; it still gets the block when it comes.',
    allowed: 'a duration, no longer than KITSUNE_MISS_TIMEOUT',
    default: '1s',
    example: '500ms',
    schema: within(parseDuration, { max: 3_600_000 }, formatDuration),
  }),
  ...preloadVariables,
  ...rpcVariables,
  cache: variable({
    name: 'KITSUNE_CACHE',
    section: 'Limits',
    description: 'Memory for hot blocks.',
    allowed: 'a size such as 256MiB, or 0 for none',
    default: '256MiB',
    example: '1GiB',
    schema: one(values.parseSizeOrOff),
  }),
  maxConnections: variable({
    name: 'KITSUNE_MAX_CONNECTIONS',
    section: 'Limits',
    description: 'Connections of clients in all; an idle one costs about 100 KiB.',
    allowed: 'a whole number from 1 to 1000000',
    default: '4096',
    example: '20000',
    schema: count(1, 1_000_000),
  }),
  maxConnectionsPerAddress: variable({
    name: 'KITSUNE_MAX_CONNECTIONS_PER_ADDRESS',
    section: 'Limits',
    description: 'Connections of clients from one IP address. Whole offices share one.',
    allowed: 'a whole number from 1 to 1000000, no more than KITSUNE_MAX_CONNECTIONS',
    default: '512',
    example: '64',
    schema: count(1, 1_000_000),
  }),
  clientWants: variable({
    name: 'KITSUNE_CLIENT_WANTS',
    section: 'Limits',
    description: 'Wants that one client may have outstanding; more are refused.',
    allowed: 'a whole number from 1 to 1000000',
    default: '16384',
    example: '4096',
    schema: count(1, 1_000_000),
  }),
  clientWantRate: variable({
    name: 'KITSUNE_CLIENT_WANT_RATE',
    section: 'Limits',
    description: 'Wants taken from one client per second; more are read later.',
    allowed: 'a number per second such as 2000/s, or off',
    default: 'off',
    example: '2000/s',
    schema: one(values.parseRate),
  }),
  clientBandwidth: variable({
    name: 'KITSUNE_CLIENT_BANDWIDTH',
    section: 'Limits',
    description: 'Block bytes sent to one client per second; more are sent later.',
    allowed: 'a size per second such as 64MiB/s, or off',
    default: 'off',
    example: '64MiB/s',
    schema: one(values.parseBandwidth),
  }),
  clientBuffer: variable({
    name: 'KITSUNE_CLIENT_BUFFER',
    section: 'Limits',
    description: 'Block bytes queued for one client that reads slowly.',
    allowed: 'a size of at least 2MiB (the largest block), no more than KITSUNE_CLIENT_BUFFER_TOTAL',
    default: '16MiB',
    example: '8MiB',
    schema: within(parseSize, { min: maxBlockBytes }, formatSize),
  }),
  clientBufferTotal: variable({
    name: 'KITSUNE_CLIENT_BUFFER_TOTAL',
    section: 'Limits',
    description: 'Block bytes queued for all clients together.',
    allowed: 'a size of at least 2MiB (the largest block)',
    default: '256MiB',
    example: '1GiB',
    schema: within(parseSize, { min: maxBlockBytes }, formatSize),
  }),
} as const

/** What a variable is called inside. */
export type VariableKey = keyof typeof schema

/** What a variable is read as. */
type ValueOf<K extends VariableKey> = v.InferOutput<(typeof schema)[K]['schema']>

/** What each variable was read as; those that are not set and have no default are absent. */
export type Values = { readonly [K in VariableKey]?: ValueOf<K> }
