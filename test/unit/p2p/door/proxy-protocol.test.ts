import { afterEach, describe, expect, test } from 'bun:test'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { type ProxyHeaderRead, parseProxyHeader, readProxyHeader } from '#src/p2p/door/proxy-protocol.ts'
import { proxyBinary, proxyLine } from '#test/support/proxy-header.ts'

const client = { host: '192.0.2.1', port: 50_000 }
const server = { host: '198.51.100.1', port: 443 }

describe('version 1', () => {
  test.each([
    ['PROXY TCP4 192.0.2.1 198.51.100.1 50000 443\r\nGET', { host: '192.0.2.1', port: 50_000 }],
    ['PROXY TCP6 2001:DB8::1 ::1 0 65535\r\n', { host: '2001:db8::1', port: 0 }],
    ['PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.1 50000 443\r\n', { host: '192.0.2.1', port: 50_000 }],
    ['PROXY UNKNOWN\r\n', undefined],
    ['PROXY UNKNOWN ffff:f...f:ffff whatever it says\r\n', undefined],
  ])('%j', (text, source) => {
    const length = text.indexOf('\n') + 1
    expect(parseProxyHeader(Buffer.from(text))).toEqual({ kind: 'whole', length, ...(source && { source }) })
  })

  test.each([
    'GET / HTTP/1.1\r\n',
    'PROXYTCP4 192.0.2.1 198.51.100.1 50000 443\r\n',
    'proxy TCP4 192.0.2.1 198.51.100.1 50000 443\r\n',
    'PROXY TCP4 192.0.2.1 198.51.100.1 50000 443\n',
    'PROXY TCP4 192.0.2.1 198.51.100.1 50000\r\n',
    'PROXY TCP4 192.0.2.1 198.51.100.1 50000 443 \r\n',
    'PROXY TCP4  192.0.2.1 198.51.100.1 50000 443\r\n',
    'PROXY TCP4 192.0.2.1 198.51.100.1 50000 65536\r\n',
    'PROXY TCP4 192.0.2.1 198.51.100.1 050 443\r\n',
    'PROXY TCP4 192.0.2.1 198.51.100.1 -1 443\r\n',
    'PROXY TCP4 192.0.2.01 198.51.100.1 50000 443\r\n',
    'PROXY TCP4 192.0.2.256 198.51.100.1 50000 443\r\n',
    'PROXY TCP4 ::1 ::1 50000 443\r\n',
    'PROXY TCP6 192.0.2.1 198.51.100.1 50000 443\r\n',
    'PROXY TCP6 fe80::1%eth0 ::1 50000 443\r\n',
    'PROXY TCP5 192.0.2.1 198.51.100.1 50000 443\r\n',
    'PROXY UNKNOWNTCP4\r\n',
    'PROXY \r\n',
    'PROXY __proto__ 192.0.2.1 198.51.100.1 50000 443\r\n',
  ])('%j is malformed', (text) => expect(parseProxyHeader(Buffer.from(text))).toEqual({ kind: 'malformed' }))

  test('a line may have 107 bytes and no more', () => {
    const line = (bytes: number) => Buffer.from(`PROXY UNKNOWN ${'x'.repeat(bytes - 16)}\r\n`)
    expect(parseProxyHeader(line(107))).toEqual({ kind: 'whole', length: 107 })
    expect(parseProxyHeader(line(107).subarray(0, 106))).toEqual({ kind: 'more' })
    expect(parseProxyHeader(line(108))).toEqual({ kind: 'malformed' })
    expect(parseProxyHeader(line(108).subarray(0, 107))).toEqual({ kind: 'malformed' })
  })
})

describe('version 2', () => {
  test.each([
    ['a UNIX socket', { family: 0x31, addresses: new Uint8Array(216) }],
    ['UDP', { family: 0x12 }],
    ['nothing known', { family: 0x00, addresses: new Uint8Array(0) }],
  ])('%s names no client', (_, how) => {
    const bytes = proxyBinary(client, server, how)
    expect(parseProxyHeader(bytes)).toEqual({ kind: 'whole', length: bytes.length })
  })

  test.each([
    ['another command', { command: 2 }],
    ['another version', { command: 0x11 }],
    ['a family that is none', { family: 0x41 }],
    ['a transport that is none', { family: 0x13 }],
    ['addresses cut short', { addresses: new Uint8Array(11) }],
    ['addresses of the other family', { family: 0x21 }],
    ['a path cut short', { family: 0x31, addresses: new Uint8Array(215) }],
    ['an absurd length', { addresses: new Uint8Array(4_097) }],
  ])('%s is malformed, told by the first sixteen bytes', (_, how) => {
    const bytes = proxyBinary(client, server, how)
    expect(parseProxyHeader(bytes.subarray(0, 16))).toEqual({ kind: 'malformed' })
  })

  test('4 KiB of addresses and extensions are taken', () => {
    const bytes = proxyBinary(client, server, { extensions: [[0x05, new Uint8Array(4_096 - 12 - 3)]] })
    expect(parseProxyHeader(bytes)).toEqual({ kind: 'whole', length: 4_112, source: client })
  })
})

const stops: Array<() => unknown> = []
afterEach(() => {
  for (const stop of stops.splice(0).reverse()) stop()
})

/** A connection whose server reads a header first. */
async function connection(timeoutMs = 5_000) {
  const read = Promise.withResolvers<{ socket: Socket; read: ProxyHeaderRead }>()
  const door = createServer((socket) => {
    stops.push(() => socket.destroy())
    socket.on('error', () => {})
    readProxyHeader(socket, timeoutMs, (each) => read.resolve({ socket, read: each }))
  })
  door.listen(0, '127.0.0.1')
  stops.push(() => door.close())
  await once(door, 'listening')
  const peer = connect((door.address() as AddressInfo).port, '127.0.0.1')
  peer.on('error', () => {})
  stops.push(() => peer.destroy())
  peer.setNoDelay(true)
  return { peer, read: read.promise }
}

describe('taken off a socket', () => {
  test('the header goes, every byte behind it stays, also those that come later', async () => {
    const { peer, read } = await connection()
    peer.write(Buffer.concat([proxyBinary(client, server), Buffer.from('first ')]))
    const { socket, read: header } = await read
    expect(header).toEqual({ kind: 'read', source: client })
    peer.end('second')
    let text = ''
    socket.on('data', (bytes) => {
      text += bytes.toString()
    })
    socket.resume()
    await once(socket, 'end')
    expect(text).toBe('first second')
  })

  test('a header that comes byte by byte is read like any other', async () => {
    const { peer, read } = await connection()
    const bytes = proxyLine(client, server)
    for (let at = 0; at < bytes.length; at++) {
      await new Promise<void>((resolve) => peer.write(bytes.subarray(at, at + 1), () => resolve()))
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect((await read).read).toEqual({ kind: 'read', source: client })
  })

  test('half a header is late, and not waited for any longer', async () => {
    const { peer, read } = await connection(100)
    peer.write(proxyLine(client, server).subarray(0, 20))
    expect((await read).read).toEqual({ kind: 'late' })
  })

  test('a socket that closes without a byte is told from one that closes within a header', async () => {
    const cut = await connection()
    cut.peer.end('PROXY')
    expect((await cut.read).read).toEqual({ kind: 'closed', empty: false })
    const empty = await connection()
    empty.peer.end()
    expect((await empty.read).read).toEqual({ kind: 'closed', empty: true })
  })

  test('what is no header is told at once', async () => {
    const { peer, read } = await connection()
    peer.write('GET / HTTP/1.1\r\n\r\n')
    expect((await read).read).toEqual({ kind: 'malformed' })
  })
})
