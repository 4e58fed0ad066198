import { describe, expect, test } from 'bun:test'
import type { Config } from '#src/config/config.ts'
import type { Environment, Machine, Problem } from '#src/config/environment.ts'
import { doorsOf } from '#src/config/listen.ts'
import { type Loaded, loadConfig, loadPlaces } from '#src/config/load.ts'
import { schema } from '#src/config/schema.ts'

const rpc = { KITSUNE_BACKENDS: 'http://10.0.0.11:5001' }
const peer = '12D3KooWEEDqSX1dBf4AnwpXoVNccGW7MTJdGyqE8MD2rPAJNBpF'

function machine(files: Record<string, string> = {}, rest: Partial<Machine> = {}): Machine {
  return {
    readFile: (path) => {
      const text = files[path]
      if (text === undefined) throw new Error('no such file')
      return text
    },
    exists: (path) => path in files,
    ipv6: true,
    isTerminal: false,
    cwd: '/srv',
    ...rest,
  }
}

function ok(env: Environment, on: Machine = machine()): Config {
  return settings(env, on).config
}

function settings(env: Environment, on: Machine = machine()): Extract<Loaded, { kind: 'ok' }> {
  const loaded = loadConfig(env, on)
  if (loaded.kind === 'invalid') throw new Error(JSON.stringify(loaded.problems))
  return loaded
}

function problems(env: Environment, on: Machine = machine()): readonly Problem[] {
  const loaded = loadConfig(env, on)
  if (loaded.kind === 'ok') throw new Error('was taken')
  return loaded.problems
}

/** The only problem of an environment. */
function problem(env: Environment, on: Machine = machine()): Problem {
  const [first, ...rest] = problems(env, on)
  expect(rest).toEqual([])
  return first!
}

test('one backend is all that must be said', () => {
  expect(ok(rpc)).toEqual({
    backends: [{ kind: 'rpc', name: 'http://10.0.0.11:5001', url: 'http://10.0.0.11:5001' }],
    identity: { kind: 'created', path: '/srv/kitsune-data/identity.key' },
    dataDir: '/srv/kitsune-data',
    listen: doorsOf(
      ['/ip4/0.0.0.0/tcp/4001', '/ip4/0.0.0.0/tcp/4002/ws', '/ip6/::/tcp/4001', '/ip6/::/tcp/4002/ws'],
      [],
    ),
    announce: [],
    tls: [],
    http: { listen: [], acmeWebroot: undefined },
    security: { front: { protocols: ['noise', 'tls'] }, back: { protocols: ['tls', 'noise'] } },
    proxies: { trusted: [], protocol: [] },
    adminListen: { host: '127.0.0.1', port: 9090 },
    region: '',
    log: { level: 'info', format: 'json' },
    lanes: 4,
    miss: { mode: 'fetch', timeoutMs: 30_000, concurrency: 64, budgetPerMinute: 600, answerAfterMs: 1000 },
    preload: {
      on: true,
      replicas: 1,
      waitMs: 60_000,
      ageMs: 3_600_000,
      callsPerMinute: 600,
      callsPerAddress: 64,
      callsTotal: 1024,
      bytes: 1024 ** 3,
      bytesPerAddress: 4 * 1024 ** 3,
      bytesTotal: 64 * 1024 ** 3,
      blocks: 50_000,
      blocksPerAddress: 100_000,
      blocksTotal: 500_000,
      depth: 256,
      bufferBytes: 64 * 1024 ** 2,
      pin: 'false',
    },
    rpcAllow: [],
    cacheBytes: 256 * 1024 ** 2,
    maxConnections: 4096,
    maxConnectionsPerAddress: 512,
    client: {
      wants: 16_384,
      wantsPerSecond: Number.POSITIVE_INFINITY,
      bytesPerSecond: Number.POSITIVE_INFINITY,
      bufferBytes: 16 * 1024 ** 2,
      bufferBytesTotal: 256 * 1024 ** 2,
    },
    drainMs: 30_000,
  })
})

test('every variable is taken', () => {
  const config = ok(
    {
      KITSUNE_BACKENDS: `/ip4/10.0.0.12/tcp/4001/p2p/${peer};gateway=http://10.0.0.12:8080/`,
      KITSUNE_LANES: '8',
      KITSUNE_KEY: 'CAES',
      KITSUNE_DATA_DIR: 'state',
      KITSUNE_LISTEN: '/ip4/127.0.0.1/tcp/0',
      KITSUNE_ANNOUNCE: '/dns4/n.example/tcp/443/wss',
      KITSUNE_SECURITY: 'tls,noise',
      KITSUNE_BACK_SECURITY: 'noise',
      KITSUNE_SWARM_KEY: `/key/swarm/psk/1.0.0/ /base16/ ${'ab'.repeat(32)}`,
      KITSUNE_BACK_SWARM_KEY: `/key/swarm/psk/1.0.0/ /base16/ ${'cd'.repeat(32)}`,
      KITSUNE_TRUSTED_PROXIES: '10.0.0.5, fd00:1::/64',
      KITSUNE_PROXY_PROTOCOL: 'TCP',
      KITSUNE_ADMIN_LISTEN: 'off',
      KITSUNE_REGION: 'eu-central',
      KITSUNE_LOG_LEVEL: 'debug',
      KITSUNE_LOG_FORMAT: 'pretty',
      KITSUNE_DRAIN: '2m',
      KITSUNE_MISS: 'dont-have',
      KITSUNE_MISS_TIMEOUT: '10s',
      KITSUNE_MISS_CONCURRENCY: '2',
      KITSUNE_MISS_BUDGET: '6/min',
      KITSUNE_MISS_ANSWER_AFTER: '100ms',
      KITSUNE_PRELOAD: 'off',
      KITSUNE_REPLICAS: '1',
      KITSUNE_PRELOAD_WAIT: '5s',
      KITSUNE_PRELOAD_TIMEOUT: '6s',
      KITSUNE_PRELOAD_RATE: '7/min',
      KITSUNE_PRELOAD_CALLS_PER_ADDRESS: '8',
      KITSUNE_PRELOAD_CALLS_TOTAL: '9',
      KITSUNE_PRELOAD_BYTES: '10MiB',
      KITSUNE_PRELOAD_BYTES_PER_ADDRESS: '11MiB',
      KITSUNE_PRELOAD_BYTES_TOTAL: '12MiB',
      KITSUNE_PRELOAD_BLOCKS: '13',
      KITSUNE_PRELOAD_BLOCKS_PER_ADDRESS: '14',
      KITSUNE_PRELOAD_BLOCKS_TOTAL: '15',
      KITSUNE_PRELOAD_DEPTH: '16',
      KITSUNE_PRELOAD_BUFFER: '17MiB',
      KITSUNE_PRELOAD_PIN: 'mfs',
      KITSUNE_CACHE: '0',
      KITSUNE_MAX_CONNECTIONS: '20',
      KITSUNE_MAX_CONNECTIONS_PER_ADDRESS: '10',
      KITSUNE_CLIENT_WANTS: '5',
      KITSUNE_CLIENT_WANT_RATE: '7/s',
      KITSUNE_CLIENT_BANDWIDTH: '1MiB/s',
      KITSUNE_CLIENT_BUFFER: '2MiB',
      KITSUNE_CLIENT_BUFFER_TOTAL: '3MiB',
      KITSUNE_RPC_ALLOW: 'routing/v1',
    },
    machine(),
  )
  const address = `/ip4/10.0.0.12/tcp/4001/p2p/${peer}`
  expect(config).toEqual({
    backends: [{ kind: 'multiaddr', name: address, multiaddr: address, gateway: 'http://10.0.0.12:8080' }],
    identity: { kind: 'inline', value: 'CAES' },
    dataDir: '/srv/state',
    listen: doorsOf(['/ip4/127.0.0.1/tcp/0'], []),
    announce: ['/dns4/n.example/tcp/443/wss'],
    tls: [],
    http: { listen: [], acmeWebroot: undefined },
    security: {
      front: { protocols: ['tls', 'noise'], swarmKey: new Uint8Array(32).fill(0xab) },
      back: { protocols: ['noise'], swarmKey: new Uint8Array(32).fill(0xcd) },
    },
    proxies: { trusted: ['10.0.0.5/32', 'fd00:1::/64'], protocol: ['tcp'] },
    adminListen: undefined,
    region: 'eu-central',
    log: { level: 'debug', format: 'pretty' },
    lanes: 8,
    miss: { mode: 'dont-have', timeoutMs: 10_000, concurrency: 2, budgetPerMinute: 6, answerAfterMs: 100 },
    preload: {
      on: false,
      replicas: 1,
      waitMs: 5_000,
      ageMs: 6_000,
      callsPerMinute: 7,
      callsPerAddress: 8,
      callsTotal: 9,
      bytes: 10 * 1024 ** 2,
      bytesPerAddress: 11 * 1024 ** 2,
      bytesTotal: 12 * 1024 ** 2,
      blocks: 13,
      blocksPerAddress: 14,
      blocksTotal: 15,
      depth: 16,
      bufferBytes: 17 * 1024 ** 2,
      pin: 'mfs',
    },
    rpcAllow: ['routing/v1'],
    cacheBytes: 0,
    maxConnections: 20,
    maxConnectionsPerAddress: 10,
    client: {
      wants: 5,
      wantsPerSecond: 7,
      bytesPerSecond: 1024 ** 2,
      bufferBytes: 2 * 1024 ** 2,
      bufferBytesTotal: 3 * 1024 ** 2,
    },
    drainMs: 120_000,
  })
})

describe('defaults follow from the machine and from what was set', () => {
  test('IPv6 is listened on only where it exists', () => {
    expect(ok(rpc, machine({}, { ipv6: false })).listen.map(({ address }) => address)).toEqual([
      '/ip4/0.0.0.0/tcp/4001',
      '/ip4/0.0.0.0/tcp/4002/ws',
    ])
  })
  test('a terminal gets lines for people', () => {
    expect(ok(rpc, machine({}, { isTerminal: true })).log.format).toBe('pretty')
  })
  test('systemd says where state is kept', () => {
    expect(ok({ ...rpc, STATE_DIRECTORY: '/var/lib/kitsune:/var/lib/other' }).dataDir).toBe(
      '/var/lib/kitsune',
    )
  })
  test('without an RPC nobody can be told to fetch', () => {
    expect(ok({ KITSUNE_BACKENDS: `/ip4/10.0.0.12/tcp/4001/p2p/${peer}` }).miss.mode).toBe('dont-have')
  })
  test('a default gives way to what it would contradict', () => {
    expect(ok({ ...rpc, KITSUNE_MAX_CONNECTIONS: '100' }).maxConnectionsPerAddress).toBe(100)
    expect(ok({ ...rpc, KITSUNE_MISS_TIMEOUT: '500ms' }).miss.answerAfterMs).toBe(500)
    expect(ok({ ...rpc, KITSUNE_CLIENT_BUFFER_TOTAL: '4MiB' }).client.bufferBytes).toBe(4 * 1024 ** 2)
  })
  test('an empty text counts as not set', () => {
    expect(ok({ ...rpc, KITSUNE_CACHE: '', KITSUNE_LANES_FILE: ' ' })).toEqual(ok(rpc))
  })
})

describe('values from files', () => {
  const files = {
    '/run/cache': ' 1MiB\n',
    '/creds/KITSUNE_LANES': '9\n',
    '/run/empty': '\n',
    '/creds/KITSUNE_KEY': 'x',
  }

  test('named by _FILE, trimmed', () => {
    const loaded = settings({ ...rpc, KITSUNE_CACHE_FILE: '/run/cache' }, machine(files))
    expect(loaded.config.cacheBytes).toBe(1024 ** 2)
    expect(loaded.sources.find(({ variable }) => variable === 'KITSUNE_CACHE')).toEqual({
      variable: 'KITSUNE_CACHE',
      value: '1MiB',
      origin: 'file /run/cache',
    })
  })
  test('from the credentials directory; a key there is a key file', () => {
    const config = ok({ ...rpc, CREDENTIALS_DIRECTORY: '/creds' }, machine(files))
    expect(config.lanes).toBe(9)
    expect(config.identity).toEqual({ kind: 'file', path: '/creds/KITSUNE_KEY' })
  })
  test('that are missing or empty are problems of the _FILE variable', () => {
    const missing = problem({ ...rpc, KITSUNE_CACHE_FILE: '/run/none' }, machine(files))
    expect(missing).toMatchObject({ variable: 'KITSUNE_CACHE_FILE', found: '/run/none' })
    expect(missing.message).toContain('cannot be read')
    expect(problem({ ...rpc, KITSUNE_CACHE_FILE: '/run/empty' }, machine(files)).message).toContain('empty')
  })
  test('a missing file of the backends is one problem, not two', () => {
    expect(problem({ KITSUNE_BACKENDS_FILE: '/run/none' }).variable).toBe('KITSUNE_BACKENDS_FILE')
  })
  test('say which file a wrong value came from', () => {
    const wrong = problem({ ...rpc, KITSUNE_LANES_FILE: '/run/cache' }, machine(files))
    expect(wrong.message).toContain('/run/cache')
  })
  test('set twice are a contradiction', () => {
    const both = problem({ ...rpc, KITSUNE_CACHE: '1MiB', KITSUNE_CACHE_FILE: '/run/cache' }, machine(files))
    expect(both.message).toContain('KITSUNE_CACHE and KITSUNE_CACHE_FILE')
    const credential = problem(
      { ...rpc, KITSUNE_LANES: '2', CREDENTIALS_DIRECTORY: '/creds' },
      machine(files),
    )
    expect(credential.message).toContain('the credential KITSUNE_LANES')
  })
})

describe('problems', () => {
  test('come all at once, each with a rule and an example', () => {
    const found = problems({
      KITSUNE_LANES: '99',
      KITSUNE_CACHE: '64',
      KITSUNE_LISTEN: '/ip4/0.0.0.0/udp/1/utp,nonsense',
      KITSUNE_DRAIN: '30',
      KITSUNE_REGION: 'a b',
    })
    expect(found.map(({ variable }) => variable).sort()).toEqual([
      'KITSUNE_BACKENDS',
      'KITSUNE_CACHE',
      'KITSUNE_DRAIN',
      'KITSUNE_LANES',
      'KITSUNE_LISTEN',
      'KITSUNE_LISTEN',
      'KITSUNE_REGION',
    ])
    for (const { allowed, example, variable } of found) {
      expect(allowed).not.toBe('')
      expect(example.startsWith(`${variable}=`)).toBe(true)
    }
    expect(found.find(({ variable }) => variable === 'KITSUNE_CACHE')?.found).toBe('64')
  })

  test('an unknown name gets the nearest one suggested, and its value is not shown', () => {
    const typo = problem({ ...rpc, KITSUNE_BAKCENDS: 'hunter2' })
    expect(typo).toMatchObject({ variable: 'KITSUNE_BAKCENDS', example: 'KITSUNE_BACKENDS=…' })
    expect(JSON.stringify(typo)).not.toContain('hunter2')
    expect(problem({ ...rpc, KITSUNE_CACHE_FIEL: 'x' }).message).toContain('KITSUNE_CACHE_FILE')
    expect(problem({ ...rpc, kitsune_lanes: '2' }).message).toContain('KITSUNE_LANES')
    expect(problem({ ...rpc, KITSUNE_COMPLETELY_UNHEARD_OF: '1' }).message).not.toContain('is it')
    expect(problem({ ...rpc, KITSUNE_KEY_FILE_FILE: '/x' }).variable).toBe('KITSUNE_KEY_FILE_FILE')
  })

  test('variables of tests and of others are none of ours', () => {
    expect(ok({ ...rpc, KITSUNE_TEST_KUBO: '/x', PATH: '/bin', XKITSUNE_A: '1' })).toEqual(ok(rpc))
  })

  test('secrets are hidden in problems and settings', () => {
    const env = { KITSUNE_BACKENDS: 'http://u:hunter2@h:5001', KITSUNE_KEY: 'hunter2' }
    expect(JSON.stringify(settings(env).sources)).not.toContain('hunter2')
    const twice = problems({ ...env, KITSUNE_KEY_FILE: '/k' }, machine({ '/k': '' }))
    expect(JSON.stringify(twice)).not.toContain('hunter2')
    expect(JSON.stringify(problems({ KITSUNE_BACKENDS: 'http://u:hunter2@h' }))).not.toContain('hunter2')
  })
})

describe('contradictions', () => {
  test.each<[string, Environment, string, string]>([
    ['two keys', { KITSUNE_KEY: 'a', KITSUNE_KEY_FILE: '/k' }, 'KITSUNE_KEY', 'contradicts KITSUNE_KEY_FILE'],
    ['no such key file', { KITSUNE_KEY_FILE: 'nowhere' }, 'KITSUNE_KEY_FILE', 'does not exist'],
    [
      'fetch without an RPC',
      { KITSUNE_BACKENDS: `/ip4/10.0.0.12/tcp/4001/p2p/${peer}`, KITSUNE_MISS: 'fetch' },
      'KITSUNE_MISS',
      'needs a backend with an RPC',
    ],
    [
      'one port for tcp and ws',
      { KITSUNE_LISTEN: '/ip4/0.0.0.0/tcp/4001,/ip4/127.0.0.1/tcp/4001/ws' },
      'KITSUNE_LISTEN',
      'same port as /ip4/0.0.0.0/tcp/4001',
    ],
    [
      'one address twice',
      { KITSUNE_LISTEN: '/ip4/0.0.0.0/tcp/0,/ip4/0.0.0.0/tcp/0' },
      'KITSUNE_LISTEN',
      'listed twice',
    ],
    [
      'PROXY headers from nobody',
      { KITSUNE_PROXY_PROTOCOL: 'tcp' },
      'KITSUNE_PROXY_PROTOCOL',
      'needs KITSUNE_TRUSTED_PROXIES',
    ],
    [
      'PROXY headers for no listener',
      {
        KITSUNE_PROXY_PROTOCOL: 'ws,tcp',
        KITSUNE_TRUSTED_PROXIES: '10.0.0.5',
        KITSUNE_LISTEN: '/ip4/0.0.0.0/tcp/4001',
      },
      'KITSUNE_PROXY_PROTOCOL',
      'names ws, and KITSUNE_LISTEN has no such address',
    ],
    ['the admin port', { KITSUNE_ADMIN_LISTEN: '127.0.0.1:4001' }, 'KITSUNE_ADMIN_LISTEN', 'same port'],
    ['the admin port, IPv6', { KITSUNE_ADMIN_LISTEN: '[::1]:4002' }, 'KITSUNE_ADMIN_LISTEN', 'same port'],
    [
      'an answer after the end',
      { KITSUNE_MISS_ANSWER_AFTER: '1m' },
      'KITSUNE_MISS_ANSWER_AFTER',
      'KITSUNE_MISS_TIMEOUT, which is 30s',
    ],
    [
      'more from one address than in all',
      { KITSUNE_MAX_CONNECTIONS: '10', KITSUNE_MAX_CONNECTIONS_PER_ADDRESS: '11' },
      'KITSUNE_MAX_CONNECTIONS_PER_ADDRESS',
      'more than KITSUNE_MAX_CONNECTIONS, which is 10',
    ],
    [
      'one buffer larger than all',
      { KITSUNE_CLIENT_BUFFER: '1GiB' },
      'KITSUNE_CLIENT_BUFFER',
      'which is 256MiB',
    ],
    [
      'a buffer that holds no block',
      { KITSUNE_CLIENT_BUFFER: '1MiB' },
      'KITSUNE_CLIENT_BUFFER',
      'below 2MiB',
    ],
  ])('%s', (_, env, variable, message) => {
    const found = problem({ ...rpc, ...env }, machine({ '/k': 'x' }))
    expect(found.variable).toBe(variable)
    expect(found.message).toContain(message)
  })
})

test('places are found however wrong the rest is, and wrong places are not', () => {
  expect(loadPlaces({ KITSUNE_LANES: 'x', KITSUNE_DATA_DIR: '/d' }, machine())).toEqual({
    kind: 'ok',
    dataDir: '/d',
    identity: { kind: 'created', path: '/d/identity.key' },
  })
  expect(loadPlaces({ KITSUNE_KEY_FILE: '/none' }, machine()).kind).toBe('invalid')
  expect(loadPlaces({ KITSUNE_DATA_DIR_FILE: '/none' }, machine()).kind).toBe('invalid')
})

/** What else must be set where one variable is. */
const wss = '/ip4/0.0.0.0/tcp/443/tls/ws'
const certificate = { KITSUNE_TLS_CERT_FILE: '/c', KITSUNE_TLS_KEY_FILE: '/k' }
const neededBy: Record<string, Environment> = {
  KITSUNE_LISTEN: certificate,
  KITSUNE_TLS_CERT_FILE: { KITSUNE_LISTEN: wss, ...certificate },
  KITSUNE_TLS_KEY_FILE: { KITSUNE_LISTEN: wss, ...certificate },
  KITSUNE_HTTP_LISTEN: { KITSUNE_LISTEN: wss, ...certificate },
  KITSUNE_ACME_WEBROOT: { KITSUNE_LISTEN: wss, ...certificate, KITSUNE_HTTP_LISTEN: '0.0.0.0:80' },
  KITSUNE_PROXY_PROTOCOL: { KITSUNE_TRUSTED_PROXIES: '10.0.0.5' },
  KITSUNE_REPLICAS: { KITSUNE_BACKENDS: 'http://10.0.0.11:5001,http://10.0.0.12:5001' },
}

test('the schema keeps its own rules: the names of issue 3, and examples that are taken', () => {
  for (const { name, example, secret, mask } of Object.values(schema)) {
    if (secret) {
      expect(mask(example)).not.toContain(example)
      continue
    }
    const env = { ...rpc, ...neededBy[name], [name]: example }
    expect(loadConfig(env, machine({ '/etc/kitsune/identity.key': 'x' }))).toMatchObject({ kind: 'ok' })
  }
})

test('the PROXY protocol can be switched on for whatever is listened on', () => {
  const config = ok({
    ...rpc,
    KITSUNE_LISTEN: '/ip4/127.0.0.1/tcp/4002/ws',
    KITSUNE_PROXY_PROTOCOL: 'on',
    KITSUNE_TRUSTED_PROXIES: '10.0.0.5',
  })
  expect(config.proxies.protocol).toEqual(['tcp', 'ws'])
})
