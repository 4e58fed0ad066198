import { expect, test } from 'bun:test'
import { Buffers } from '#src/relay/buffers.ts'
import { Outbox } from '#src/relay/outbox.ts'
import { decodeWire, joinBytes, unframeWire, type WireMessage } from '#test/support/wire.ts'
import { cidKey } from '#test/unit/relay/fixture.ts'

const prefix = '\x01\x55\x12\x20'

function read(pieces: Uint8Array[] | undefined): WireMessage | undefined {
  return pieces && decodeWire(unframeWire(joinBytes(pieces))[0] as Uint8Array)
}

function newOutbox(): { outbox: Outbox; buffers: Buffers } {
  const buffers = new Buffers(1e9, 1e9)
  return { outbox: new Outbox(buffers), buffers }
}

test('a message counts until the next one is asked for', () => {
  const { outbox, buffers } = newOutbox()
  outbox.addBlock(prefix, new Uint8Array(1_000))
  const heldBytes = outbox.bytes
  expect(heldBytes).toBeGreaterThanOrEqual(1_000)
  expect(read(outbox.take('1.2'))?.payload.length).toBe(1)
  expect([outbox.bytes, buffers.usedBytes]).toEqual([heldBytes, heldBytes])
  expect(outbox.take('1.2')).toBeUndefined()
  expect([outbox.bytes, buffers.usedBytes]).toEqual([0, 0])
})

test('release and clear let go of everything exactly once', () => {
  const { outbox, buffers } = newOutbox()
  for (let n = 0; n < 5; n++) outbox.addBlock(prefix, new Uint8Array(100_000))
  outbox.take('1.2')
  outbox.release()
  outbox.release()
  expect(buffers.usedBytes).toBe(outbox.bytes)
  outbox.take('1.2')
  outbox.clear()
  expect([outbox.bytes, buffers.usedBytes]).toEqual([0, 0])
  outbox.release()
  expect([outbox.bytes, buffers.usedBytes]).toEqual([0, 0])
})

test('blocks go out in order, in messages of bounded size, and none is lost', () => {
  const { outbox, buffers } = newOutbox()
  const sizes = Array.from({ length: 5_000 }, (_, n) => (n % 7 === 0 ? 50_000 : n % 11))
  let sent = 0
  for (let n = 0; n < 2_500; n++) outbox.addBlock(prefix, new Uint8Array(sizes[n] as number))
  const seen: number[] = []
  for (;;) {
    const message = read(outbox.take('1.2'))
    if (message === undefined) break
    const bytes = message.payload.reduce((sum, block) => sum + block.data.length, 0)
    expect(bytes).toBeLessThan(128 * 1024 + 50_000)
    for (const block of message.payload) seen.push(block.data.length)
    if (sent++ === 3)
      for (let n = 2_500; n < 5_000; n++) outbox.addBlock(prefix, new Uint8Array(sizes[n] as number))
  }
  expect(seen).toEqual(sizes)
  expect(buffers.usedBytes).toBe(0)
})

test('tiny blocks, even empty ones, weigh something, and no message grows without end', () => {
  const { outbox } = newOutbox()
  for (let n = 0; n < 50_000; n++) outbox.addBlock(prefix, new Uint8Array(0))
  expect(outbox.bytes).toBeGreaterThan(50_000 * 100)
  expect(read(outbox.take('1.2'))?.payload.length).toBeLessThan(2_000)
})

test('presences go out with the next message, to those who know them', () => {
  for (const version of ['1.0', '1.1', '1.2'] as const) {
    const { outbox } = newOutbox()
    outbox.addHave(cidKey(1))
    outbox.addDontHave(cidKey(2))
    expect(outbox.presences).toBe(2)
    const message = read(outbox.take(version))
    expect(message?.presences.map((presence) => presence.have)).toEqual(
      version === '1.2' ? [true, false] : undefined,
    )
    expect(outbox.presences).toBe(0)
    expect(outbox.take(version)).toBeUndefined()
  }
})
