import { expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { echoed, startClient, startFront } from './front-under-test.ts'

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
