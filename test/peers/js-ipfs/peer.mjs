// A real js-ipfs node (ipfs-core 0.18.1) for the tests, driven by JSON lines: commands on stdin, events
// on stdout, logs on stderr. It knows nobody but whom argv names:
//
//   node peer.mjs '{"bootstrap":["/ip4/…/p2p/…"],"preload":["/ip4/127.0.0.1/tcp/8080/http"]}'
//   → {"event":"ready","peerId","agent","pid","repo"}
//   {"cmd":"connect","addr"}                           → {"event":"connect","addr","ms"}
//   {"cmd":"cat","cid","timeoutMs"?}                   → {"event":"cat","cid","bytes","sha256","ms"}
//   {"cmd":"add","bytes","seed","cidVersion"?,"rawLeaves"?,"preload"?}
//                                                      → {"event":"add","cid","bytes","sha256","ms"}
//   {"cmd":"addDirectory","files","fileBytes","seed","cidVersion"?,"rawLeaves"?}, file i with seed + i
//                                                      → {"event":"addDirectory","cid","files","sha256","ms"}
//   {"cmd":"catDirectory","cid","timeoutMs"?}          → {"event":"catDirectory","cid","files","sha256","ms"}
//   {"cmd":"peers"}                                    → {"event":"peers","peers":[{"peer","addr"}]}
//   {"cmd":"stop"}, or stdin closed                    → {"event":"stop"}, then it exits
//
// The end of each preload request, whoever of the node made it, is
//   {"event":"preloaded","cid","ok","status","lines","error"?,"ms"}
// with the true outcome: see preload-watch.mjs. Its bootstrap is dialled ten seconds after the start, as the
// library does it; "autoDialMs" hurries it. "localAddress" is where its connections come from.
//
// A command may carry an "id", which its event repeats. A failure is {"event":"error","cmd","id"?,"error"}.
// The sha256 of a directory is that of its lines `<sha256 of the file> <name>\n`, by name.
import './promise-with-resolvers.mjs'
import './preload-watch.mjs'
import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { multiaddr } from '@multiformats/multiaddr'
import { create } from 'ipfs-core'
import { CID } from 'multiformats/cid'
import { catDirectory, directoryDigest, seededDirectory } from './directory.mjs'
import { connectFrom } from './local-address.mjs'
import { onPreloaded } from './preload-watch.mjs'
import { seededChunks } from './seeded-chunks.mjs'

const options = JSON.parse(process.argv[2] ?? '{}')
const repo = await mkdtemp(join(tmpdir(), 'kitsune-js-ipfs-'))
if (options.localAddress) connectFrom(options.localAddress)

function emit(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

onPreloaded((outcome) => emit({ event: 'preloaded', ...outcome }))

const node = await create({
  repo,
  silent: true,
  // Bitswap alone finds content: no DHT, no delegates, nobody discovered.
  config: {
    Addresses: { Swarm: [], Delegates: [] },
    Bootstrap: options.bootstrap ?? [],
    Discovery: { MDNS: { Enabled: false }, webRTCStar: { Enabled: false } },
    Pubsub: { Enabled: false },
    Routing: { Type: 'none' },
    Swarm: { DisableNatPortMap: true },
  },
  preload: { enabled: (options.preload ?? []).length > 0, addresses: options.preload ?? [] },
  libp2p: {
    ...(options.autoDialMs && { connectionManager: { autoDialInterval: options.autoDialMs } }),
    nat: { enabled: false },
    relay: { enabled: false },
  },
})

const commands = {
  async connect({ addr, timeoutMs = 30_000 }) {
    await node.swarm.connect(multiaddr(addr), { timeout: timeoutMs })
    return { addr }
  },

  async cat({ cid, timeoutMs = 60_000 }) {
    const hash = createHash('sha256')
    let bytes = 0
    for await (const chunk of node.cat(CID.parse(cid), { timeout: timeoutMs })) {
      hash.update(chunk)
      bytes += chunk.length
    }
    return { cid, bytes, sha256: hash.digest('hex') }
  },

  async add({ bytes, seed, cidVersion = 1, rawLeaves = cidVersion === 1, preload = true }) {
    const hash = createHash('sha256')
    const content = (function* () {
      for (const chunk of seededChunks(seed, bytes)) {
        hash.update(chunk)
        yield chunk
      }
    })()
    const { cid } = await node.add({ content }, { cidVersion, rawLeaves, preload, pin: false })
    return { cid: cid.toString(), bytes, sha256: hash.digest('hex') }
  },

  async addDirectory({ files, fileBytes, seed, cidVersion = 1, rawLeaves = cidVersion === 1 }) {
    const digests = new Map()
    let root
    const source = seededDirectory(seed, files, fileBytes, digests)
    const how = { cidVersion, rawLeaves, wrapWithDirectory: true, pin: false }
    for await (const { path, cid } of node.addAll(source, how)) if (path === '') root = cid
    return { cid: root.toString(), files: digests.size, sha256: directoryDigest(digests) }
  },

  async catDirectory({ cid, timeoutMs = 60_000 }) {
    const digests = await catDirectory(node, CID.parse(cid), AbortSignal.timeout(timeoutMs))
    return { cid, files: digests.size, sha256: directoryDigest(digests) }
  },

  async peers() {
    const peers = await node.swarm.peers()
    return { peers: peers.map(({ peer, addr }) => ({ peer: peer.toString(), addr: addr.toString() })) }
  },
}

async function run(command) {
  const started = performance.now()
  const { cmd, id } = command
  try {
    const answer = await commands[cmd](command)
    emit({ event: cmd, id, ...answer, ms: Math.round(performance.now() - started) })
  } catch (err) {
    emit({ event: 'error', cmd, id, error: String(err?.message ?? err) })
  }
}

let stopping = false
async function stop() {
  if (stopping) return
  stopping = true
  // A node with streams open may take long to stop; the repo goes either way.
  await Promise.race([node.stop().catch(() => {}), new Promise((resolve) => setTimeout(resolve, 3000))])
  await rm(repo, { recursive: true, force: true })
  emit({ event: 'stop' })
  process.exit(0)
}

const lines = createInterface({ input: process.stdin })
lines.on('line', (line) => {
  let command
  try {
    command = JSON.parse(line)
  } catch {
    emit({ event: 'error', error: `not JSON: ${line}` })
    return
  }
  if (command.cmd === 'stop') stop()
  else if (Object.hasOwn(commands, command.cmd)) run(command)
  else emit({ event: 'error', cmd: command.cmd, id: command.id, error: 'unknown command' })
})
lines.on('close', stop)
process.on('SIGTERM', stop)
process.on('unhandledRejection', (err) => console.error('unhandled rejection', err))

const { id, agentVersion } = await node.id()
emit({ event: 'ready', peerId: id.toString(), agent: agentVersion, pid: process.pid, repo })
