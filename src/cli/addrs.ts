import { readAdmin } from '#src/cli/admin-client.ts'
import { explainProblems } from '#src/cli/failure.ts'
import { type SnippetKind, snippet, snippetKinds } from '#src/cli/snippets.ts'
import { type ExitCode, exitCodes, type Terminal, wrap } from '#src/cli/terminal.ts'
import { formatAdminListen } from '#src/config/addresses.ts'
import type { Config } from '#src/config/config.ts'
import { loadConfig } from '#src/config/load.ts'
import { describeError } from '#src/util/errors.ts'

export interface AddrsOptions {
  /** What Kubo's `id` answers, as JSON. */
  readonly json: boolean
  /** That configuration alone. */
  readonly snippet?: SnippetKind
}

/**
 * Prints what clients should be given, as the edge that runs here tells it, and configurations of clients to paste. Where none
 * runs it says so, prints what the configuration announces, and ends with code 1.
 */
export async function addrs(terminal: Terminal, options: AddrsOptions): Promise<ExitCode> {
  const loaded = loadConfig(terminal.env, terminal.machine)
  if (loaded.kind === 'invalid') {
    explainProblems(terminal, loaded.problems)
    return exitCodes.usage
  }
  const { config } = loaded
  const { answer, fault } = await askedOf(config)
  const id = answer ?? (await expected(config, terminal))
  if (fault !== undefined) terminal.err(wrap(fault, terminal.columns))
  print(terminal, options, id, config)
  return answer === undefined ? exitCodes.usage : exitCodes.clean
}

interface Id {
  readonly ID?: unknown
  readonly Addresses?: unknown
}

async function askedOf({ adminListen }: Config): Promise<{ answer?: Id; fault?: string }> {
  const instead =
    'What follows is what the configuration announces; the addresses of its doors are known once it runs.'
  if (adminListen === undefined)
    return { fault: `KITSUNE_ADMIN_LISTEN is off, so the edge cannot be asked. ${instead}` }
  try {
    return { answer: await readAdmin(adminListen, '/api/v0/id') }
  } catch (error) {
    const where = formatAdminListen(adminListen)
    return {
      fault: `No edge answers at ${where} (KITSUNE_ADMIN_LISTEN): ${describeError(error)}. ${instead}`,
    }
  }
}

/** What can be said without an edge: no key is made by asking, and no certificate's hash is known. */
async function expected({ identity, announce }: Config, { machine }: Terminal): Promise<Id> {
  const known = announce.filter((address) => !/\/(webrtc-direct|webtransport)(\/p2p\/|$)/.test(address))
  if (identity.kind === 'created' && !machine.exists(identity.path)) return { Addresses: known }
  const { loadIdentity } = await import('#src/p2p/identity.ts')
  const { peerId } = await loadIdentity(identity)
  const suffix = `/p2p/${peerId}`
  return {
    ID: peerId.toString(),
    Addresses: known.map((address) => (address.includes('/p2p/') ? address : address + suffix)),
  }
}

function print(terminal: Terminal, options: AddrsOptions, id: Id, config: Config): void {
  if (options.json) return terminal.out(JSON.stringify(id, undefined, 2))
  const addresses = Array.isArray(id.Addresses) ? id.Addresses.map(String).map(shortForm) : []
  const facts = {
    addresses,
    preload: config.preload.on,
    delegates: config.rpcAllow.some((command) => command.startsWith('dht/')),
  }
  if (options.snippet !== undefined) return terminal.out(snippet(options.snippet, facts))
  if (id.ID !== undefined) terminal.out(String(id.ID))
  terminal.out('')
  for (const address of addresses.flatMap(bothForms)) terminal.out(address)
  if (addresses.length === 0) terminal.out('no address: set KITSUNE_ANNOUNCE')
  for (const kind of addresses.length === 0 ? [] : snippetKinds) {
    terminal.out(`\n# ${kind === 'helia' ? 'Helia 7' : 'js-ipfs 0.66 (ipfs-core 0.18)'}\n`)
    terminal.out(snippet(kind, facts))
  }
}

/** A TLS port has two names: js-ipfs knows the short one, Kubo prints the long one. */
function shortForm(address: string): string {
  return address.replace(/\/tls\/ws(?=\/p2p\/|$)/, '/wss')
}

function bothForms(address: string): string[] {
  return /\/wss(\/p2p\/|$)/.test(address) ? [address, address.replace('/wss', '/tls/ws')] : [address]
}
