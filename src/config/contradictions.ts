import { resolve } from 'node:path'
import { collide, formatAdminListen, hostPortOf } from '#src/config/addresses.ts'
import { tlsFaults } from '#src/config/contradictions-tls.ts'
import { type Given, type Machine, type Problem, problem } from '#src/config/environment.ts'
import { doorsOf } from '#src/config/listen.ts'
import { schema, type Values, type VariableKey } from '#src/config/schema.ts'
import { formatDuration, formatSize } from '#src/config/values.ts'

/**
 * Returns what is wrong between variables that are each right. Only what was set can contradict: a default gives
 * way to what is set beside it.
 */
export function contradictions(
  values: Values,
  given: ReadonlyMap<VariableKey, Given>,
  machine: Machine,
): Problem[] {
  return [
    ...keyFaults(values, given, machine),
    ...misses(values, given),
    ...preloads(values, given),
    ...delegates(values, given),
    ...ports(values),
    ...tlsFaults(values),
    ...proxies(values, given),
    ...atMost(
      given,
      'missAnswerAfter',
      values.missAnswerAfter,
      'missTimeout',
      values.missTimeout,
      formatDuration,
    ),
    ...atMost(
      given,
      'maxConnectionsPerAddress',
      values.maxConnectionsPerAddress,
      'maxConnections',
      values.maxConnections,
      String,
    ),
    ...atMost(
      given,
      'clientBuffer',
      values.clientBuffer,
      'clientBufferTotal',
      values.clientBufferTotal,
      formatSize,
    ),
  ]
}

/** Returns what is wrong about where the identity comes from. */
export function keyFaults(
  values: Pick<Values, 'key' | 'keyFile'>,
  given: ReadonlyMap<VariableKey, Given>,
  machine: Machine,
): Problem[] {
  if (values.key !== undefined && values.keyFile !== undefined) {
    const message = `contradicts ${schema.keyFile.name}, which is set too (${given.get('keyFile')?.origin}); keep one`
    return [problem('key', '(hidden)', message)]
  }
  if (values.keyFile === undefined || machine.exists(resolve(machine.cwd, values.keyFile))) return []
  const message = 'names a file that does not exist; "kitsune key new --out FILE" makes one'
  return [problem('keyFile', values.keyFile, message)]
}

function misses(values: Values, given: ReadonlyMap<VariableKey, Given>): Problem[] {
  if (!given.has('miss') || values.miss !== 'fetch' || values.backends === undefined) return []
  if (values.backends.some(({ kind }) => kind === 'rpc')) return []
  const message = `needs a backend with an RPC (http://…), and ${schema.backends.name} has none`
  return [problem('miss', 'fetch', message)]
}

function preloads(values: Values, given: ReadonlyMap<VariableKey, Given>): Problem[] {
  const { backends, preload, replicas } = values
  const rpcs = backends?.filter(({ kind }) => kind === 'rpc').length ?? 0
  if (backends === undefined) return []
  if (given.has('preload') && preload === 'on' && rpcs === 0) {
    const message = `needs a backend with an RPC (http://…), and ${schema.backends.name} has none`
    return [problem('preload', 'on', message)]
  }
  if (!given.has('replicas') || replicas === undefined || replicas <= Math.max(1, rpcs)) return []
  const message = `is more than the backends with an RPC (http://…) in ${schema.backends.name}, which are ${rpcs}`
  return [problem('replicas', String(replicas), message)]
}

function delegates(values: Values, given: ReadonlyMap<VariableKey, Given>): Problem[] {
  const { backends, rpcAllow = [] } = values
  if (backends === undefined) return []
  const isRouting = (command: string) => command === 'routing/v1'
  const calls = rpcAllow.filter((command) => !isRouting(command))
  if (calls.length > 0 && !backends.some(({ kind }) => kind === 'rpc')) {
    const message = `needs a backend with an RPC (http://…), and ${schema.backends.name} has none`
    return [problem('rpcAllow', calls.join(','), message)]
  }
  // The preset has it for those who can serve it; who names it wants it.
  const named = given.get('rpcAllow')?.text.includes('routing/v1') === true
  if (!named || backends.some(({ gateway }) => gateway !== undefined)) return []
  const message = `needs a backend with ;gateway=http://host:8080, and ${schema.backends.name} has none`
  return [problem('rpcAllow', 'routing/v1', message)]
}

function ports(values: Values): Problem[] {
  const problems: Problem[] = []
  const listen = doorsOf(values.listen ?? [], values.listenOptional ?? []).map(({ address }) => address)
  for (const [index, address] of listen.entries()) {
    const rival = listen.slice(0, index).find((other) => collide(hostPortOf(other), hostPortOf(address)))
    if (rival !== undefined) problems.push(problem('listen', address, `wants the same port as ${rival}`))
  }
  const admin = values.adminListen
  const rival = admin && 'port' in admin && listen.find((address) => collide(hostPortOf(address), admin))
  if (admin && rival) {
    const found = formatAdminListen(admin)
    problems.push(problem('adminListen', found, `wants the same port as ${rival} of ${schema.listen.name}`))
  }
  return problems
}

/** Without anybody to trust every connection would be closed; without a listener nothing would be read. */
function proxies(values: Values, given: ReadonlyMap<VariableKey, Given>): Problem[] {
  const { proxyProtocol = [] } = values
  const kinds = values.listen && doorsOf(values.listen, values.listenOptional ?? []).map(({ kind }) => kind)
  const problems: Problem[] = []
  if (proxyProtocol.length > 0 && values.trustedProxies === undefined) {
    const message = `needs ${schema.trustedProxies.name}: set it to the addresses from which your load balancers connect`
    problems.push(problem('proxyProtocol', proxyProtocol.join(','), message))
  }
  // Who says "on" means whatever is listened on.
  const named = given.get('proxyProtocol')?.text.trim().toLowerCase() === 'on' ? [] : proxyProtocol
  for (const kind of kinds === undefined ? [] : named) {
    if (kinds?.some((each) => each === kind || (each === 'wss' && kind === 'ws'))) continue
    const message = `names ${kind}, and ${schema.listen.name} has no such address`
    problems.push(problem('proxyProtocol', proxyProtocol.join(','), message))
  }
  return problems
}

function atMost(
  given: ReadonlyMap<VariableKey, Given>,
  key: VariableKey,
  value: number | undefined,
  limitKey: VariableKey,
  limit: number | undefined,
  format: (value: number) => string,
): Problem[] {
  if (!given.has(key) || value === undefined || limit === undefined || value <= limit) return []
  return [problem(key, format(value), `is more than ${schema[limitKey].name}, which is ${format(limit)}`)]
}
