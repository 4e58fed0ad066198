import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { explain, explainProblems } from '#src/cli/failure.ts'
import { type ExitCode, exitCodes, type Terminal } from '#src/cli/terminal.ts'
import type { Config } from '#src/config/config.ts'
import { loadPlaces } from '#src/config/load.ts'
import type { Identity, KeyType } from '#src/p2p/identity.ts'
import { KitsuneError } from '#src/util/errors.ts'

interface Places {
  readonly dataDir: string
  readonly identity: Config['identity']
}

/** Makes a key and shows who it is. */
export function keyNew(terminal: Terminal, options: { type: KeyType; out?: string }): Promise<ExitCode> {
  return withPlaces(terminal, async (places) => {
    const { createKey, saveKey, readIdentity } = await import('#src/p2p/identity.ts')
    const path = outPath(terminal, places, options.out)
    await saveKey(path, await createKey(options.type))
    await show(terminal, await readIdentity(path))
  })
}

/** Shows who a key is: the one of the environment, or the one in a file. Makes none. */
export function keyShow(terminal: Terminal, file: string | undefined): Promise<ExitCode> {
  return withPlaces(terminal, async ({ identity }) => {
    const { loadIdentity } = await import('#src/p2p/identity.ts')
    if (file !== undefined) {
      const path = resolve(terminal.machine.cwd, file)
      await show(terminal, await loadIdentity({ kind: 'file', path }))
      return
    }
    // A key that would be made at the first run is not made by looking at it.
    await show(
      terminal,
      await loadIdentity(identity.kind === 'created' ? { ...identity, kind: 'file' } : identity),
    )
  })
}

/**
 * Shows the private identities with which backends are dialled, and how a backend is told to hold on to them. Makes
 * their seed if there is none yet: the first run uses the same.
 */
export function keyLanes(terminal: Terminal, count: number): Promise<ExitCode> {
  return withPlaces(terminal, async ({ dataDir }) => {
    const { laneKey, loadLaneSeed } = await import('#src/p2p/identity.ts')
    const { peerIdFromPrivateKey } = await import('@libp2p/peer-id')
    const seed = await loadLaneSeed(dataDir)
    const peers: { ID: string }[] = []
    for (let lane = 0; lane < count; lane++) {
      peers.push({ ID: peerIdFromPrivateKey(await laneKey(seed, lane)).toString() })
    }
    for (const [lane, { ID }] of peers.entries()) terminal.out(`lane ${String(lane).padEnd(3)} ${ID}`)
    terminal.out('\nTo have a Kubo keep these connections and tell them every want:')
    terminal.out(`  ipfs config --json Peering.Peers '${JSON.stringify(peers)}'`)
  })
}

/** Reads a key in any of the known forms ('-' is standard input), keeps it as the edge's own, and shows it. */
export function keyImport(terminal: Terminal, file: string, options: { out?: string }): Promise<ExitCode> {
  return withPlaces(terminal, async (places) => {
    const { parseKey } = await import('#src/p2p/key-format.ts')
    const { readIdentity, saveKey } = await import('#src/p2p/identity.ts')
    const bytes = file === '-' ? await terminal.readStdin() : await read(resolve(terminal.machine.cwd, file))
    const path = outPath(terminal, places, options.out)
    await saveKey(path, await parseKey(bytes))
    await show(terminal, await readIdentity(path))
  })
}

async function read(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path)
  } catch (cause) {
    throw new KitsuneError('KEY_FILE_UNREADABLE', 'The file cannot be read', { facts: { path }, cause })
  }
}

function outPath(terminal: Terminal, places: Places, out: string | undefined): string {
  return out === undefined ? join(places.dataDir, 'identity.key') : resolve(terminal.machine.cwd, out)
}

async function withPlaces(terminal: Terminal, work: (places: Places) => Promise<void>): Promise<ExitCode> {
  const places = loadPlaces(terminal.env, terminal.machine)
  if (places.kind === 'invalid') {
    explainProblems(terminal, places.problems)
    return exitCodes.usage
  }
  try {
    await work(places)
    return exitCodes.clean
  } catch (error) {
    return explain(terminal, error)
  }
}

async function show(terminal: Terminal, identity: Identity | undefined): Promise<void> {
  if (identity === undefined) throw new KitsuneError('KEY_FILE_MISSING', 'The key file vanished')
  const { publicKeyToProtobuf } = await import('@libp2p/crypto/keys')
  const { peerIdToBase36 } = await import('#src/p2p/identity.ts')
  const { peerId, privateKey, origin, warnings } = identity
  const rows = [
    ['peer ID', peerId.toString()],
    ['as a CID', peerIdToBase36(peerId)],
    ['type', privateKey.type],
    ['public key', Buffer.from(publicKeyToProtobuf(privateKey.publicKey)).toString('base64')],
    ['from', origin],
  ]
  for (const [name = '', value = ''] of rows) terminal.out(`${name.padEnd(10)}  ${value}`)
  for (const warning of warnings) terminal.err(`Warning: ${warning}`)
}
