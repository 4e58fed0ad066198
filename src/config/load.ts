import { join, resolve } from 'node:path'
import * as v from 'valibot'
import type { Config } from '#src/config/config.ts'
import { contradictions, keyFaults } from '#src/config/contradictions.ts'
import { securityFaults } from '#src/config/contradictions-security.ts'
import {
  collect,
  type Environment,
  type Given,
  type Machine,
  type Problem,
  problem,
  variableKeys,
} from '#src/config/environment.ts'
import { doorsOf } from '#src/config/listen.ts'
import { schema, type Values, type VariableKey } from '#src/config/schema.ts'

/** One variable as it holds, secrets hidden, and where it came from ("default", "environment", "file …"). */
export interface Setting {
  readonly variable: string
  readonly value: string
  readonly origin: string
}

/** The whole configuration, or everything that is wrong with it. */
export type Loaded =
  | { readonly kind: 'ok'; readonly config: Config; readonly sources: readonly Setting[] }
  | { readonly kind: 'invalid'; readonly problems: readonly Problem[] }

/** Returns the configuration of an edge, or the complete list of what is wrong with the environment. */
export function loadConfig(env: Environment, machine: Machine): Loaded {
  const { given, problems, failed } = collect(env, machine)
  const found: Problem[] = [...problems]
  const values: Record<string, unknown> = {}
  const sources: Setting[] = []
  const take = (key: VariableKey, { text, origin }: Given) => {
    const { name, mask, schema: rule } = schema[key]
    const parsed = v.safeParse(rule as v.GenericSchema<string, unknown>, text)
    if (parsed.success) {
      values[key] = parsed.output
      sources.push({ variable: name, value: mask(text), origin })
      return
    }
    const where = origin === 'environment' || origin === 'default' ? '' : ` (from the ${origin})`
    for (const issue of parsed.issues) {
      found.push(problem(key, mask(String(issue.input)), `${issue.message}${where}`))
    }
  }
  for (const [key, text] of given) take(key, text)
  if (!given.has('backends') && !failed.has('backends')) {
    found.push(problem('backends', 'nothing', 'is not set; an edge needs at least one backend'))
  }
  // Defaults come last: some follow from what was set.
  for (const key of variableKeys) {
    if (given.has(key) || failed.has(key)) continue
    const text = defaultText(key, values as Values, env, machine)
    if (text !== undefined) take(key, { text, origin: 'default' })
  }
  found.push(...contradictions(values as Values, given, machine), ...securityFaults(values as Values, env))
  if (found.length > 0) return { kind: 'invalid', problems: found }
  const order = new Map(variableKeys.map((key, index) => [schema[key].name, index]))
  sources.sort((a, b) => (order.get(a.variable) ?? 0) - (order.get(b.variable) ?? 0))
  return { kind: 'ok', config: assemble(values as Values, machine), sources }
}

/** Returns what holds for a variable that is not set, or undefined where nothing does. */
function defaultText(
  key: VariableKey,
  values: Values,
  env: Environment,
  machine: Machine,
): string | undefined {
  switch (key) {
    case 'backends':
    case 'key':
    case 'keyFile':
    case 'announce':
    case 'listenOptional':
    case 'tlsCertFile':
    case 'tlsKeyFile':
    case 'httpListen':
    case 'acmeWebroot':
    case 'swarmKey':
    case 'backSwarmKey':
    case 'trustedProxies':
    case 'region':
      return undefined
    case 'dataDir':
      return defaultDataDir(env)
    case 'listen':
      return (machine.ipv6 ? ['/ip4/0.0.0.0', '/ip6/::'] : ['/ip4/0.0.0.0'])
        .flatMap((host) => [`${host}/tcp/4001`, `${host}/tcp/4002/ws`])
        .join(',')
    case 'logFormat':
      return machine.isTerminal ? 'pretty' : 'json'
    case 'preload':
      return values.backends?.some(({ kind }) => kind === 'rpc') ? 'on' : 'off'
    case 'miss':
      return values.backends?.some(({ kind }) => kind === 'rpc') ? 'fetch' : 'dont-have'
    // A default never contradicts what was set beside it: it gives way.
    case 'missAnswerAfter':
      return (values.missTimeout ?? Number.POSITIVE_INFINITY) < 1000
        ? `${values.missTimeout}ms`
        : schema[key].default
    case 'maxConnectionsPerAddress':
      return String(Math.min(Number(schema[key].default), values.maxConnections ?? Number.POSITIVE_INFINITY))
    case 'clientBuffer':
      return (values.clientBufferTotal ?? Number.POSITIVE_INFINITY) < 16 * 1024 ** 2
        ? `${values.clientBufferTotal}B`
        : schema[key].default
    default:
      return schema[key].default
  }
}

/** systemd lists several directories with colons between them; the first is the main one. */
function defaultDataDir(env: Environment): string {
  return env.STATE_DIRECTORY?.split(':')[0]?.trim() || './kitsune-data'
}

/** Where keys are, for commands that need no more than that; or what is wrong with it. */
export type Places =
  | { readonly kind: 'ok'; readonly dataDir: string; readonly identity: Config['identity'] }
  | { readonly kind: 'invalid'; readonly problems: readonly Problem[] }

/** Returns where keys are, whatever else the environment says. */
export function loadPlaces(env: Environment, machine: Machine): Places {
  const { given, problems } = collect(env, machine)
  const values: Record<string, string> = {}
  for (const key of ['key', 'keyFile', 'dataDir'] as const) {
    const text = given.get(key)?.text
    if (text !== undefined) values[key] = text
  }
  const found = problems.filter(({ variable }) => /^(KITSUNE_KEY|KITSUNE_DATA_DIR)/.test(variable))
  found.push(...keyFaults(values, given, machine))
  if (found.length > 0) return { kind: 'invalid', problems: found }
  const dataDir = resolve(machine.cwd, values.dataDir ?? defaultDataDir(env))
  return { kind: 'ok', dataDir, identity: identity(values, dataDir, machine) }
}

function assemble(values: Values, machine: Machine): Config {
  const must = <K extends VariableKey>(key: K): NonNullable<Values[K]> => {
    const value = values[key]
    if (value === undefined || value === null)
      throw new Error(`${schema[key].name} has neither value nor problem`)
    return value
  }
  const dataDir = resolve(machine.cwd, must('dataDir'))
  return {
    backends: must('backends'),
    identity: identity(values, dataDir, machine),
    dataDir,
    listen: doorsOf(must('listen'), values.listenOptional ?? []),
    announce: values.announce ?? [],
    tls: certificatePaths(values, machine),
    http: {
      listen: values.httpListen ?? [],
      acmeWebroot: values.acmeWebroot && resolve(machine.cwd, values.acmeWebroot),
    },
    security: {
      front: {
        protocols: must('security'),
        ...(values.swarmKey && { swarmKey: values.swarmKey }),
      },
      back: {
        protocols: must('backSecurity'),
        ...(values.backSwarmKey && { swarmKey: values.backSwarmKey }),
      },
    },
    proxies: { trusted: values.trustedProxies ?? [], protocol: must('proxyProtocol') },
    adminListen: values.adminListen,
    region: values.region ?? '',
    log: { level: must('logLevel'), format: must('logFormat') },
    lanes: must('lanes'),
    miss: {
      mode: must('miss'),
      timeoutMs: must('missTimeout'),
      concurrency: must('missConcurrency'),
      budgetPerMinute: must('missBudget'),
      answerAfterMs: must('missAnswerAfter'),
    },
    preload: {
      on: must('preload') === 'on',
      replicas: must('replicas'),
      waitMs: must('preloadWait'),
      ageMs: must('preloadTimeout'),
      callsPerMinute: must('preloadRate'),
      callsPerAddress: must('preloadCallsPerAddress'),
      callsTotal: must('preloadCallsTotal'),
      bytes: must('preloadBytes'),
      bytesPerAddress: must('preloadBytesPerAddress'),
      bytesTotal: must('preloadBytesTotal'),
      blocks: must('preloadBlocks'),
      blocksPerAddress: must('preloadBlocksPerAddress'),
      blocksTotal: must('preloadBlocksTotal'),
      depth: must('preloadDepth'),
      bufferBytes: must('preloadBuffer'),
      pin: must('preloadPin'),
    },
    rpcAllow: must('rpcAllow'),
    cacheBytes: must('cache'),
    maxConnections: must('maxConnections'),
    maxConnectionsPerAddress: must('maxConnectionsPerAddress'),
    client: {
      wants: must('clientWants'),
      wantsPerSecond: must('clientWantRate'),
      bytesPerSecond: must('clientBandwidth'),
      bufferBytes: must('clientBuffer'),
      bufferBytesTotal: must('clientBufferTotal'),
    },
    drainMs: must('drain'),
  }
}

function certificatePaths(values: Values, machine: Machine): Config['tls'] {
  const keys = values.tlsKeyFile ?? []
  return (values.tlsCertFile ?? []).map((certFile, index) => ({
    certFile: resolve(machine.cwd, certFile),
    keyFile: resolve(machine.cwd, keys[index] ?? ''),
  }))
}

function identity(
  values: Pick<Values, 'key' | 'keyFile'>,
  dataDir: string,
  machine: Machine,
): Config['identity'] {
  if (values.keyFile !== undefined) return { kind: 'file', path: resolve(machine.cwd, values.keyFile) }
  if (values.key !== undefined) return { kind: 'inline', value: values.key }
  return { kind: 'created', path: join(dataDir, 'identity.key') }
}
