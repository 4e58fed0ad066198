import { expect, test } from 'bun:test'
import { tmpdir } from 'node:os'
import { demo } from '#src/cli/demo.ts'
import { exitCodes } from '#src/cli/terminal.ts'
import { buildVersion } from '#src/cli/version.ts'
import { fakeTerminal } from './fake-terminal.ts'

const version = buildVersion()

test('a demo that is ended while it starts ends cleanly, but --once without a verdict is no success', async () => {
  for (const [once, code] of [
    [false, exitCodes.clean],
    [true, exitCodes.cutShort],
  ] as const) {
    const terminal = fakeTerminal({}, { cwd: tmpdir() })
    const ended = demo({ once, terminal, version })
    terminal.signal('SIGINT')
    expect(await ended).toBe(code)
    expect(terminal.errors).toEqual([])
    expect(terminal.output.join('\n')).not.toContain('Every byte')
    expect(() => terminal.signal()).toThrow('nobody listens')
  }
})

test('a demo that takes too long says so and fails', async () => {
  const terminal = fakeTerminal({}, { cwd: tmpdir() })
  expect(await demo({ once: true, terminal, version, timeoutMs: 1 })).toBe(exitCodes.usage)
  expect(terminal.errors.join('\n')).toMatch(/not done after 0 s and was ended\. (The edge|Of 0 clients)/)
})

test('a second signal ends it at once', async () => {
  const terminal = fakeTerminal({}, { cwd: tmpdir() })
  const ended = demo({ once: false, terminal, version })
  terminal.signal('SIGINT')
  terminal.signal('SIGINT')
  expect(await ended).toBe(exitCodes.cutShort)
})
