import { type ExitCode, exitCodes, type Terminal, wrap } from '#src/cli/terminal.ts'
import type { BuildVersion } from '#src/cli/version.ts'
import type { DemoEdge } from '#src/demo/demo-edge.ts'
import type { Round } from '#src/demo/report.ts'
import type { DemoBackend, Stage } from '#src/demo/stage.ts'

export interface DemoOptions {
  /** Ends after the figures; else it stays up until a signal. */
  readonly once: boolean
  readonly terminal: Terminal
  readonly version: BuildVersion
  /** How long everything may take up to the figures. Default: 60 s, many times what a slow machine needs. */
  readonly timeoutMs?: number
}

const defaultTimeoutMs = 60_000

/**
 * Shows the whole thing in one process: two IPFS nodes, an edge, and clients that dial the edge alone. Returns 0
 * only if every byte was right, or if a signal ended a demo that was to stay up. Helia is loaded here and
 * nowhere else.
 */
export async function demo(options: DemoOptions): Promise<ExitCode> {
  const { terminal, timeoutMs = defaultTimeoutMs } = options
  const ended = new AbortController()
  const cutShort = Promise.withResolvers<ExitCode>()
  const forgetSignals = terminal.onSignal(() => {
    if (ended.signal.aborted) return cutShort.resolve(exitCodes.cutShort)
    terminal.out('\nEnding the demo.')
    ended.abort(new Error('ended by a signal'))
  })
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(new Error('the time was over')), timeoutMs)
  try {
    const shown = show(options, { ended: ended.signal, late: late.signal, inTime: () => clearTimeout(timer) })
    return await Promise.race([shown, cutShort.promise])
  } finally {
    clearTimeout(timer)
    forgetSignals()
  }
}

interface Ends {
  readonly ended: AbortSignal
  readonly late: AbortSignal
  /** Says that the figures are out and the time limit has no more say. */
  readonly inTime: () => void
}

async function show(options: DemoOptions, { ended, late, inTime }: Ends): Promise<ExitCode> {
  const { terminal, once, version, timeoutMs = defaultTimeoutMs } = options
  const say = (text: string) => terminal.out(wrap(text, terminal.columns))
  say(
    'Kitsune demo: one address in front of two IPFS nodes, each holding files that the other does not have.',
  )
  say('All of it runs in this process, on this machine only, and nothing of it is kept.')
  terminal.out('')
  const { Stage } = await import('#src/demo/stage.ts')
  const stage = new Stage(
    { version, machine: terminal.machine, env: terminal.env },
    AbortSignal.any([ended, late]),
  )
  try {
    const played = await play(terminal, stage)
    inTime()
    if (!played.right) return exitCodes.usage
    if (once) return exitCodes.clean
    invite(terminal, played.edge, played.backends)
    await Promise.race([aborted(ended), played.edge.finished])
    return exitCodes.clean
  } catch (error) {
    if (ended.aborted) {
      // Without a verdict `--once` must not look like a success to whoever waits for one.
      return once ? exitCodes.cutShort : exitCodes.clean
    }
    if (!late.aborted) throw error
    const limit = `${Math.round(timeoutMs / 100) / 10} s`
    const situation = await stage.situation()
    terminal.err(wrap(`The demo was not done after ${limit} and was ended. ${situation}`, terminal.columns))
    return exitCodes.usage
  } finally {
    await stage.stop()
  }
}

interface Played {
  readonly right: boolean
  readonly edge: DemoEdge
  readonly backends: readonly DemoBackend[]
}

/** Starts everything, fetches everything twice, and prints each step as it is done. */
async function play(terminal: Terminal, stage: Stage): Promise<Played> {
  const { columns, formatSize, judge, repeatOf, tableOf } = await import('#src/demo/report.ts')
  const say = (text: string) => terminal.out(wrap(text, terminal.columns))

  say('Starting two IPFS nodes (the backends) ...')
  const backends = await stage.startBackends()
  const holdings = backends.flatMap(({ label, files }) =>
    files.map(({ file, cid }) => [label, 'holds', file.name, formatSize(file.bytes.length), cid]),
  )
  terminal.out(columns(holdings))

  say('Starting an edge with a fresh identity in front of them ...')
  const edge = await stage.startEdge(backends)
  terminal.out(columns([['edge', 'listens on', edge.address('tcp')]]))

  say('Starting a client that knows the address of the edge and nothing else ...')
  const first = await stage.startClient(edge)
  const direct = await stage.fetch(first, edge, backends)
  terminal.out('')
  say('The client fetched everything by dialling the edge:')
  terminal.out(tableOf(direct))

  const second = await stage.startClient(edge)
  const repeated = await stage.fetch(second, edge, backends)
  terminal.out('')
  say(`A second client fetched the same: ${repeatOf(repeated)}`)
  terminal.out('')

  const { seededFile } = await import('#src/demo/content.ts')
  const photo = seededFile('photo.bin', 3, 2 * 1024 * 1024)
  say('A page adds a file that nobody else has, tells the edge by HTTP, and goes away for good ...')
  const { cid, blocks, ms } = await stage.preload(edge, photo)
  say(`A backend fetched its ${blocks} blocks from the page, through the edge, in ${Math.round(ms)} ms.`)
  const third = await stage.startClient(edge)
  const outlived = await stage.fetch(third, edge, backends, [{ file: photo, cid, holder: 'the page' }])
  say('A third client, which never met the page, fetched it:')
  terminal.out(tableOf(outlived))
  terminal.out('')

  const rounds: Round[] = [
    { client: 'the first client', fetched: direct, peers: first.peers },
    { client: 'the second client', fetched: repeated, peers: second.peers },
    { client: 'the third client', fetched: outlived, peers: third.peers },
  ]
  const { right, sentences } = judge(rounds, edge.peerId)
  for (const sentence of sentences) {
    if (right) say(sentence)
    else terminal.err(wrap(sentence, terminal.columns))
  }
  return { right, edge, backends }
}

/** Prints what can be tried while the demo stays up; lines that are to be copied are never wrapped. */
function invite(terminal: Terminal, edge: DemoEdge, backends: readonly DemoBackend[]): void {
  const files = backends.flatMap((backend) => backend.files)
  const smallest = files.reduce((a, b) => (b.file.bytes.length < a.file.bytes.length ? b : a))
  const lines = [
    '',
    'It stays up for you to try:',
    `  curl ${edge.adminUrl}/readyz       # is it ready, and which backends are?`,
    `  curl ${edge.adminUrl}/backends     # what each backend gave`,
    `  curl ${edge.adminUrl}/metrics      # everything that is counted`,
    `  curl ${edge.adminUrl}/api/v0/id    # the identity, as Kubo tells it`,
    '',
    'Any IPFS node on this machine can dial it, by tcp or by WebSocket:',
    `  ${edge.address('tcp')}`,
    `  ${edge.address('ws')}`,
    'With Kubo, for example:',
    `  ipfs swarm connect ${edge.address('tcp')}`,
    `  ipfs cat ${smallest.cid}`,
    '',
    'Ctrl-C ends it.',
  ]
  terminal.out(lines.join('\n'))
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
