import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type EdgeHandle, type EdgeStarter, run } from '#src/cli/run.ts'
import { KitsuneError } from '#src/util/errors.ts'
import { fakeTerminal } from '#test/unit/cli/fake-terminal.ts'

const cwd = await mkdtemp(join(tmpdir(), 'kitsune-run-'))
afterAll(() => rm(cwd, { recursive: true }))
const rpc = { KITSUNE_BACKENDS: 'http://10.0.0.11:5001' }

/** An edge whose drain and end the test decides. */
function fakeEdge() {
  const started = Promise.withResolvers<void>()
  const drained = Promise.withResolvers<void>()
  const finished = Promise.withResolvers<void>()
  const calls: string[] = []
  const handle: EdgeHandle = {
    drain: () => {
      calls.push('drain')
      return drained.promise
    },
    stop: async () => void calls.push('stop'),
    finished: finished.promise,
  }
  const start: EdgeStarter = async (_, { identity, laneSeed, version }) => {
    calls.push(`start ${identity.peerId.toString().slice(0, 8)} ${laneSeed.byteLength} ${version.version}`)
    started.resolve()
    return handle
  }
  return { start, calls, started: started.promise, drained, finished }
}

describe('an edge', () => {
  test('starts with its identity, drains at a signal and stops', async () => {
    const terminal = fakeTerminal(rpc, { cwd })
    const edge = fakeEdge()
    const code = run(terminal, edge.start)
    await edge.started
    expect(terminal.errors.join('\n')).toContain('A new identity was made: 12D3KooW')
    terminal.signal()
    await terminal.saysError('Draining for at most 30s')
    edge.drained.resolve()
    expect(await code).toBe(0)
    expect(edge.calls).toEqual(['start 12D3KooW 32 0.1.0', 'drain', 'stop'])
    expect(() => terminal.signal()).toThrow('nobody listens')
  })

  test('stops without the rest of the drain when that takes too long', async () => {
    const terminal = fakeTerminal({ ...rpc, KITSUNE_DRAIN: '5ms' }, { cwd })
    const edge = fakeEdge()
    const code = run(terminal, edge.start)
    await edge.started
    terminal.signal('SIGINT')
    expect(await code).toBe(0)
    expect(edge.calls.slice(1)).toEqual(['drain', 'stop'])
    expect(terminal.errors.at(-1)).toContain('took too long')
  })

  test('ends at once at a second signal', async () => {
    const terminal = fakeTerminal(rpc, { cwd })
    const edge = fakeEdge()
    const code = run(terminal, edge.start)
    await edge.started
    terminal.signal()
    await terminal.saysError('Draining')
    terminal.signal()
    expect(await code).toBe(3)
    expect(edge.calls.slice(1)).toEqual(['drain'])
  })

  test('that never gets up is left at a second signal', async () => {
    const terminal = fakeTerminal(rpc, { cwd })
    const starting = Promise.withResolvers<void>()
    const code = run(terminal, () => {
      starting.resolve()
      return new Promise<EdgeHandle>(() => undefined)
    })
    await starting.promise
    terminal.signal()
    terminal.signal()
    expect(await code).toBe(3)
  })

  test('that ends by itself ends the command', async () => {
    const edge = fakeEdge()
    const code = run(fakeTerminal(rpc, { cwd }), edge.start)
    await edge.started
    edge.finished.resolve()
    expect(await code).toBe(0)
  })

  test('that fails while running is an internal error', async () => {
    const terminal = fakeTerminal(rpc, { cwd })
    const edge = fakeEdge()
    const code = run(terminal, edge.start)
    await edge.started
    edge.finished.reject(new Error('boom'))
    expect(await code).toBe(70)
    expect(terminal.errors.at(-1)).toContain('internal error: boom')
    expect(terminal.errors.at(-1)).not.toContain('at ')
  })
})

describe('an edge that cannot start', () => {
  const failing =
    (error: unknown): EdgeStarter =>
    () =>
      Promise.reject(error)
  const inUse = Object.assign(new Error('listen EADDRINUSE: 0.0.0.0:4001'), { code: 'EADDRINUSE' })

  const unopened = Object.assign(
    new Error(
      'Set an option of libp2p:\n\n  /ip6/::/tcp/1/ws: Error: Is port 1 in use?\n      at listen (x.js:1:2)\n',
    ),
    { name: 'UnsupportedListenAddressesError' },
  )

  test.each<[string, unknown, number, string]>([
    [
      'a listener of libp2p',
      unopened,
      2,
      'cannot start: /ip6/::/tcp/1/ws: Is port 1 in use. Is another process',
    ],
    ['a port in use', inUse, 2, 'The port is in use'],
    [
      'a port in use, wrapped',
      new AggregateError([new Error('x', { cause: inUse })], 'no address'),
      2,
      'in use',
    ],
    ['a port in use, as our own', new KitsuneError('LISTEN', 'No listener', { cause: inUse }), 2, 'in use'],
    [
      'an error of ours',
      new KitsuneError('X', 'Nothing works', { facts: { path: '/p', hint: 'Try.' } }),
      2,
      '(path /p). Try.',
    ],
    ['a wrong setting', new KitsuneError('CONFIG_PEER', 'Not our peer ID'), 1, 'Not our peer ID.'],
    ['a bug', new TypeError('undefined is no function'), 70, 'please report it'],
    ['something thrown that is no error', 'oops', 70, 'internal error: oops'],
  ])('because of %s says so', async (_, error, code, text) => {
    const terminal = fakeTerminal(rpc, { cwd })
    expect(await run(terminal, failing(error))).toBe(code as never)
    expect(terminal.errors.at(-1)!.replaceAll('\n', ' ')).toContain(text)
  })

  test('shows where only when asked to debug', async () => {
    const terminal = fakeTerminal({ ...rpc, KITSUNE_LOG_LEVEL: 'debug' }, { cwd })
    await run(terminal, failing(new TypeError('bug')))
    expect(terminal.errors.join('\n')).toContain('run.test.ts')
  })

  test('because the environment is wrong lists all of it', async () => {
    const terminal = fakeTerminal({ KITSUNE_LANES: '0', KITSUNE_CACHE: '5' }, { cwd })
    const never: EdgeStarter = () => Promise.reject(new Error('was started'))
    expect(await run(terminal, never)).toBe(1)
    const text = terminal.errors.join('\n')
    expect(text).toContain('3 problems')
    for (const name of ['KITSUNE_LANES: "0"', 'KITSUNE_CACHE: "5"', 'KITSUNE_BACKENDS is not set']) {
      expect(text).toContain(name)
    }
    expect(text).toContain('example: KITSUNE_LANES=8')
  })

  test('because there is nowhere to keep its key says which directory', async () => {
    await writeFile(join(cwd, 'file'), '')
    const terminal = fakeTerminal({ ...rpc, KITSUNE_DATA_DIR: 'file/state' }, { cwd })
    expect(await run(terminal, failing(new Error('was started')))).toBe(2)
    expect(terminal.errors.at(-1)!.replaceAll('\n', ' ')).toContain('Set KITSUNE_DATA_DIR (or --out)')
  })

  test('because its key file is empty says what is expected', async () => {
    await writeFile(join(cwd, 'empty.key'), '')
    const terminal = fakeTerminal({ ...rpc, KITSUNE_KEY_FILE: 'empty.key' }, { cwd })
    expect(await run(terminal, failing(new Error('was started')))).toBe(1)
    const text = terminal.errors.at(-1)!.replaceAll('\n', ' ')
    expect(text).toContain('it is empty. Expected is a libp2p private key')
  })
})
