/**
 * The PROXY protocol, versions 1 and 2: the line or the bytes in front of a connection in which a load balancer
 * says who is at its other end. Written from HAProxy's specification (proxy-protocol.txt, sections 2.1 and 2.2).
 *
 * Reads a header and not a byte beyond it: what follows belongs to the connection. Strict, since two readers that
 * understand one header differently are a way around a limit: what the specification forbids is malformed.
 *
 * Memory: one header, at most `maxHeaderBytes`, for at most the time given.
 */

import { isIPv4, isIPv6, type Socket } from 'node:net'
import { plainHost } from '#src/p2p/addresses.ts'

/** An IP address, as `plainHost` writes it, and a port. */
export interface Endpoint {
  readonly host: string
  readonly port: number
}

export type ProxyHeader =
  /** So far it may become one. */
  | { readonly kind: 'more' }
  | { readonly kind: 'malformed' }
  /**
   * It takes `length` bytes. `source` is the client; absent where the sender speaks for itself (LOCAL, as health
   * checks do) or cannot name an IP address: then the socket's own address counts.
   */
  | { readonly kind: 'whole'; readonly length: number; readonly source?: Endpoint }

/** A line of version 1, its CR LF included. */
const maxLineBytes = 107
/** Addresses and extensions of version 2: certificates' names may be among these, certificates are not. */
const maxBodyBytes = 4 * 1024
const fixedBytes = 16

/** No header is longer. */
export const maxHeaderBytes = fixedBytes + maxBodyBytes

const lineStart = Buffer.from('PROXY ')
const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n')

const more: ProxyHeader = { kind: 'more' }
const malformed: ProxyHeader = { kind: 'malformed' }

/** Says what the beginning of a connection is. Never throws; looks at `maxHeaderBytes` at most. */
export function parseProxyHeader(bytes: Uint8Array): ProxyHeader {
  const seen = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.byteLength, maxHeaderBytes))
  if (seen.length === 0) return more
  return seen[0] === lineStart[0] ? parseLine(seen) : parseBinary(seen)
}

function beginsAs(expected: Buffer, seen: Buffer): boolean {
  const length = Math.min(expected.length, seen.length)
  return expected.subarray(0, length).equals(seen.subarray(0, length))
}

/** Version 1: `PROXY TCP4 192.0.2.1 198.51.100.1 50000 443\r\n`. */
function parseLine(seen: Buffer): ProxyHeader {
  if (!beginsAs(lineStart, seen)) return malformed
  const end = seen.subarray(0, maxLineBytes).indexOf('\n')
  if (end < 0) return seen.length < maxLineBytes ? more : malformed
  if (seen[end - 1] !== 0x0d) return malformed
  const length = end + 1
  const line = seen.subarray(lineStart.length, end - 1).toString('latin1')
  // Whatever else stands on such a line is to be ignored.
  if (line === 'UNKNOWN' || line.startsWith('UNKNOWN ')) return { kind: 'whole', length }
  const [family, source = '', destination = '', sourcePort = '', destinationPort = '', ...rest] =
    line.split(' ')
  if ((family !== 'TCP4' && family !== 'TCP6') || rest.length > 0) return malformed
  const [host, toHost] = [source, destination].map((text) => readHost(text, family))
  const [port, toPort] = [sourcePort, destinationPort].map(readPort)
  if (host === undefined || toHost === undefined || port === undefined || toPort === undefined)
    return malformed
  return { kind: 'whole', length, source: { host, port } }
}

/** A zone means nothing outside its machine, so none is taken. */
function readHost(text: string, family: 'TCP4' | 'TCP6'): string | undefined {
  const fits = family === 'TCP4' ? isIPv4(text) : isIPv6(text) && !text.includes('%')
  return fits ? plainHost(text) : undefined
}

function readPort(text: string): number | undefined {
  const port = /^(0|[1-9]\d{0,4})$/.test(text) ? Number(text) : 65_536
  return port < 65_536 ? port : undefined
}

const localCommand = 0x20
const proxyCommand = 0x21

/**
 * Families and transports that may be named, each with the bytes that its addresses take. Only a TCP connection's
 * addresses are looked at: the rest cannot be a client of ours.
 */
const addressBytes: Readonly<Record<number, number>> = {
  0: 0,
  17: 12,
  18: 12,
  33: 36,
  34: 36,
  49: 216,
  50: 216,
}

/** Version 2: signature, version and command, family and transport, length; then addresses and extensions. */
function parseBinary(seen: Buffer): ProxyHeader {
  if (!beginsAs(signature, seen)) return malformed
  const command = seen[12]
  if (command !== undefined && command !== localCommand && command !== proxyCommand) return malformed
  if (seen.length < fixedBytes) return more
  const bodyBytes = seen.readUInt16BE(14)
  if (bodyBytes > maxBodyBytes) return malformed
  const family = seen[13] ?? 0
  // A sender that speaks for itself may say anything about a family.
  if (command === proxyCommand && bodyBytes < (addressBytes[family] ?? Number.POSITIVE_INFINITY))
    return malformed
  const length = fixedBytes + bodyBytes
  if (seen.length < length) return more
  const source = command === proxyCommand ? readSource(family, seen.subarray(fixedBytes, length)) : undefined
  return { kind: 'whole', length, ...(source && { source }) }
}

function readSource(family: number, body: Buffer): Endpoint | undefined {
  if (family === 0x11) return { host: body.subarray(0, 4).join('.'), port: body.readUInt16BE(8) }
  if (family !== 0x21) return undefined
  const groups = Array.from({ length: 8 }, (_, index) => body.readUInt16BE(index * 2).toString(16))
  const host = plainHost(groups.join(':'))
  return host === undefined ? undefined : { host, port: body.readUInt16BE(32) }
}

/** What came of waiting for a header. */
export type ProxyHeaderRead =
  | { readonly kind: 'read'; readonly source?: Endpoint }
  | { readonly kind: 'malformed' }
  /** Nothing whole came in time. */
  | { readonly kind: 'late' }
  /** Closed before a whole header; `empty` is without a byte, as the port checks of load balancers do. */
  | { readonly kind: 'closed'; readonly empty: boolean }

/**
 * Takes the header off a socket and calls `done` once. After `read` the socket is paused, with every byte behind
 * the header still in it: whoever takes it on resumes it.
 */
export function readProxyHeader(
  socket: Socket,
  timeoutMs: number,
  done: (read: ProxyHeaderRead) => void,
): void {
  let held: Buffer = Buffer.alloc(0)
  const finish = (read: ProxyHeaderRead): void => {
    clearTimeout(timer)
    socket.off('data', onData)
    socket.off('close', onClose)
    done(read)
  }
  const onData = (bytes: Buffer): void => {
    held = held.length === 0 ? bytes : Buffer.concat([held, bytes])
    const header = parseProxyHeader(held)
    if (header.kind === 'more') return
    socket.pause()
    if (header.kind === 'malformed') return finish(header)
    if (held.length > header.length) socket.unshift(held.subarray(header.length))
    finish({ kind: 'read', ...(header.source && { source: header.source }) })
  }
  const onClose = (): void => finish({ kind: 'closed', empty: held.length === 0 })
  const timer = setTimeout(() => finish({ kind: 'late' }), timeoutMs)
  socket.on('data', onData)
  socket.once('close', onClose)
}
