import { beforeEach, expect, test } from 'bun:test'
import { defaultLogger } from '@libp2p/logger'
import type { H3Session } from '#src/p2p/webtransport/h3-session.ts'
import { type StreamOwner, WebTransportStream } from '#src/p2p/webtransport/stream.ts'

/** A session that keeps what it is told, and takes bytes when the test says so. */
class FakeSession {
  readonly calls: string[] = []
  readonly written: Uint8Array[] = []
  write(_: number, bytes: Uint8Array): void {
    // It must be copied before `write` returns, as the addon does.
    this.written.push(new Uint8Array(bytes))
  }
  fin = (): void => void this.calls.push('fin')
  reset = (): void => void this.calls.push('reset')
  stopSending = (): void => void this.calls.push('stop')
  pause = (_: number, paused: boolean): void => void this.calls.push(paused ? 'pause' : 'resume')
  forget = (): void => void this.calls.push('forget')
  get bytes(): number {
    return this.written.reduce((sum, { byteLength }) => sum + byteLength, 0)
  }
}

let session: FakeSession
let owner: { session: H3Session; isFull: boolean; heldBytes: number } & StreamOwner
let stream: WebTransportStream

beforeEach(() => {
  session = new FakeSession()
  owner = {
    session: session as unknown as H3Session,
    isFull: false,
    heldBytes: 0,
    held(bytes) {
      owner.heldBytes += bytes
    },
  }
  const log = defaultLogger().forComponent('test')
  stream = new WebTransportStream({ id: 4, direction: 'inbound', log }, owner)
})

const kibibytes = (count: number): Uint8Array => new Uint8Array(count * 1024).fill(count)

test('what QUIC does not take stops the sender at half a mebibyte, and goes on where it stopped', async () => {
  let sends = 0
  while (stream.send(kibibytes(64))) sends++
  expect(session.bytes).toBe(512 * 1024)
  expect(stream.send(kibibytes(64))).toBe(false)
  expect([session.bytes, stream.writeBufferLength]).toEqual([512 * 1024, 64 * 1024])
  let drained = 0
  stream.addEventListener('drain', () => drained++)
  for (let i = 0; i < 4; i++) stream.written()
  expect([session.bytes, stream.writeBufferLength, drained]).toEqual([576 * 1024, 0, 1])
  expect(sends).toBe(7)
})

test('a message larger than that leaves whole and in order', () => {
  const message = new Uint8Array(2 * 1024 * 1024).map((_, i) => i >> 12)
  stream.send(message)
  for (let at = 0; session.bytes < message.length; at++) {
    if (at >= session.written.length) throw new Error('it stopped')
    stream.written()
  }
  expect(Buffer.concat(session.written).equals(message)).toBe(true)
})

test('closing waits for what is to leave before', async () => {
  stream.send(new Uint8Array(600 * 1024))
  const closed = stream.close()
  expect(session.calls).not.toContain('fin')
  for (const _ of [...session.written]) stream.written()
  await closed
  expect([session.bytes, session.calls.filter((call) => call === 'fin')]).toEqual([600 * 1024, ['fin']])
})

test('what nobody reads stays with QUIC from a quarter of a mebibyte on, and comes when somebody does', async () => {
  for (let i = 0; i < 5; i++) stream.data(kibibytes(60))
  expect(session.calls).toEqual(['pause'])
  expect(owner.heldBytes).toBe(300 * 1024)
  let read = 0
  stream.readBy((bytes) => {
    read += bytes.byteLength
  })
  expect([session.calls, owner.heldBytes, read]).toEqual([['pause', 'resume'], 0, 300 * 1024])
})

test('a paused stream loses nothing', () => {
  const read: number[] = []
  stream.addEventListener('message', ({ data }) => read.push(...data.subarray()))
  stream.data(Uint8Array.of(1))
  stream.pause()
  stream.data(Uint8Array.of(2, 3))
  expect(read).toEqual([1])
  stream.resume()
  stream.data(Uint8Array.of(4))
  expect([read, session.calls]).toEqual([
    [1, 2, 3, 4],
    ['pause', 'resume'],
  ])
})

test('a full connection stops every stream of it', () => {
  owner.isFull = true
  stream.throttle()
  owner.isFull = false
  stream.throttle()
  expect(session.calls).toEqual(['pause', 'resume'])
})

test('each side ends by itself, and the stream with both', async () => {
  stream.addEventListener('message', () => {})
  stream.data(Uint8Array.of(1))
  stream.ended()
  expect([stream.status, stream.remoteWriteStatus]).toEqual(['open', 'closed'])
  stream.send(Uint8Array.of(1))
  await stream.close()
  expect([stream.status, session.calls]).toEqual(['closed', ['fin', 'forget']])
})

test('a reset goes both ways, and what was unread is given back', () => {
  stream.data(kibibytes(10))
  stream.abort(new Error('enough'))
  expect([owner.heldBytes, session.calls]).toEqual([0, ['reset', 'stop', 'forget']])
})

test('a reset of the peer, and its refusal to read, end the stream', () => {
  stream.wasReset()
  // Else the addon would keep it for as long as the connection lasts.
  expect([stream.status, session.calls]).toEqual(['reset', ['reset', 'forget']])
  const other = new WebTransportStream(
    { id: 8, direction: 'outbound', log: defaultLogger().forComponent('test') },
    owner,
  )
  other.send(kibibytes(1))
  other.stopped()
  expect(other.status).toBe('aborted')
  expect(() => other.send(kibibytes(1))).toThrow()
})

test('a reader that throws ends the stream, and is given nothing more', () => {
  let calls = 0
  stream.readBy(() => {
    calls++
    throw new Error('no')
  })
  stream.data(Uint8Array.of(1))
  stream.data(Uint8Array.of(2))
  expect([calls, stream.status]).toEqual([1, 'aborted'])
})
