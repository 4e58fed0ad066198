import { expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { repositoryRoot } from '#test/support/build-once.ts'
import { echoed, startClient, startFront } from '#test/unit/p2p/front-under-test.ts'

test('large and small sends in one turn arrive in order and whole', async () => {
  const front = await startFront()
  const client = await startClient()
  try {
    for (const sizes of [[1, 300_000, 5, 70_000, 1, 1], [4_095, 4_096, 4_097], [1_000_000]]) {
      for (const size of sizes) {
        const bytes = randomBytes(size)
        expect(Buffer.compare(await echoed(client, front.tcp, bytes), bytes)).toBe(0)
      }
    }
  } finally {
    await client.stop()
    await front.stop()
  }
})

test('a dial that is given up at any moment ends nothing but itself', async () => {
  const script = `
    const { quickTcp } = await import('${join(repositoryRoot, 'src/p2p/tcp/tcp.ts')}')
    const { defaultLogger } = await import('@libp2p/logger')
    const { multiaddr } = await import('@multiformats/multiaddr')
    const { createServer } = await import('node:net')
    const server = createServer().listen(0, '127.0.0.1', async () => {
      const address = multiaddr('/ip4/127.0.0.1/tcp/' + server.address().port)
      const upgrader = { upgradeOutbound: async () => {}, getConnectionEncrypters() {}, getStreamMuxers() {} }
      const transport = quickTcp({})({ logger: defaultLogger() })
      let given = 0
      for (let turns = 0; turns < 40; turns++) {
        const ended = new AbortController()
        const dial = transport.dial(address, { signal: ended.signal, upgrader }).catch(() => given++)
        for (let turn = 0; turn < turns % 4; turn++) await new Promise(setImmediate)
        ended.abort()
        await dial
      }
      await new Promise((resolve) => setTimeout(resolve, 100))
      console.log(given > 0 ? 'alive' : 'nothing was given up')
      process.exit(0)
    })
  `
  const child = Bun.spawn([process.execPath, '-e', script], {
    cwd: repositoryRoot,
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  expect([out.trim(), err]).toEqual(['alive', ''])
})
