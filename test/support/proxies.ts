/**
 * HAProxy and nginx as operators run them: Debian's programs with the examples of this repository, in which nothing but
 * addresses and ports is another.
 *
 * Each runs in the foreground from a directory of its own; `stop()` ends it by its pid.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { repositoryRoot } from '#test/support/build-once.ts'

/** Ports on 127.0.0.1. */
export interface Doors {
  readonly tcp: number
  readonly web: number
}

/** A running one: its doors, which lead to those of an edge. */
export interface RunningProxy extends Doors {
  stop(): Promise<void>
}

/** Whether HAProxy is installed. */
export function haproxyAvailable(): boolean {
  return spawnSync('haproxy', ['-v']).status === 0
}

/** Whether nginx is installed. */
export function nginxAvailable(): boolean {
  return spawnSync('nginx', ['-v']).status === 0
}

/** Whether nginx has its stream module, which is a package of its own. */
export function nginxStreamAvailable(): boolean {
  return nginxAvailable() && existsSync('/usr/lib/nginx/modules/ngx_stream_module.so')
}

/** Starts HAProxy in front of an edge; `version` is that of the PROXY protocol, `tls` what its web door speaks. */
export function startHaproxy(edge: Doors, version: 1 | 2, { tls = false } = {}): Promise<RunningProxy> {
  const edit = (text: string): string => {
    const checked = tls ? replaced(text, / check$/m, () => ' check check-ssl verify none') : text
    return version === 2 ? checked : replaced(checked, /send-proxy-v2/g, () => 'send-proxy')
  }
  return start('haproxy.cfg', edge, edit, (file) => ['haproxy', '-db', '-f', file])
}

/** Starts nginx in front of an edge: `nginx.conf` has its web door only, `nginx-stream.conf` both. */
export function startNginx(edge: Doors, example: 'nginx.conf' | 'nginx-stream.conf'): Promise<RunningProxy> {
  return start(example, edge, undefined, (file, directory) => [
    'nginx',
    '-c',
    file,
    '-g',
    `daemon off; error_log stderr; pid ${directory}/nginx.pid;`,
  ])
}

async function start(
  example: string,
  edge: Doors,
  edit: ((text: string) => string) | undefined,
  commandOf: (file: string, directory: string) => [string, ...string[]],
): Promise<RunningProxy> {
  const directory = await mkdtemp(join(tmpdir(), 'kitsune-proxy-'))
  const doors: Doors = { tcp: await freePort(), web: await freePort() }
  const text = await readFile(join(repositoryRoot, 'scripts', 'examples', example), 'utf8')
  const file = join(directory, example)
  await writeFile(file, withPorts((edit ?? ((same) => same))(text), doors, edge))
  const [command, ...args] = commandOf(file, directory)
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let log = ''
  child.stderr.setEncoding('utf8').on('data', (piece: string) => {
    log = (log + piece).slice(-16_384)
  })
  const stop = async (): Promise<void> => {
    await end(child)
    await rm(directory, { recursive: true, force: true })
  }
  try {
    for (const port of example === 'nginx.conf' ? [doors.web] : [doors.tcp, doors.web]) {
      await untilOpen(port, child)
    }
  } catch (error) {
    await stop()
    throw new Error(`${command} did not start: ${log}`, { cause: error })
  }
  return { ...doors, stop }
}

/** The examples listen on every address, on the ports of Kitsune, and pass on to 14001 and 14002. */
function withPorts(text: string, doors: Doors, edge: Doors): string {
  const listening = replaced(text, /^(\s*(?:bind|listen)\s+):?(4001|4002)\b/gm, (_, word, port) => {
    return `${word}127.0.0.1:${port === '4001' ? doors.tcp : doors.web}`
  })
  return replaced(
    listening,
    /^(\s*(?:server|proxy_pass)\s.*)127\.0\.0\.1:(14001|14002)\b/gm,
    (_, word, port) => {
      return `${word}127.0.0.1:${port === '14001' ? edge.tcp : edge.web}`
    },
  )
}

/** A replacement that finds nothing would leave a test to pass for another reason. */
function replaced(text: string, pattern: RegExp, by: (...parts: string[]) => string): string {
  const result = text.replace(pattern, by)
  if (result === text) throw new Error(`the example has nothing like ${pattern}`)
  return result
}

async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function untilOpen(port: number, child: ChildProcess, timeoutMs = 10_000): Promise<void> {
  const deadline = performance.now() + timeoutMs
  while (!(await isOpen(port))) {
    if (child.exitCode !== null || performance.now() > deadline) throw new Error(`port ${port} does not open`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(true))
    socket.once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}

/** SIGTERM ends both at once, with their workers. */
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), 5_000)
  await ended
  clearTimeout(timer)
}
