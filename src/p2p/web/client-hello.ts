/**
 * Which name a TLS client asks for: the server_name extension of its first message, read from the bytes themselves.
 * Needed where the runtime's own TLS does not say, because the bytes reach it by way of JavaScript. Pure.
 *
 * Written from RFC 8446 (sections 4.1.2 and 5.1) and RFC 6066 (section 3). What cannot be read says no name: the handshake
 * itself will refuse it.
 */

export type ClientHello =
  /** So far it may become one. */
  | { readonly kind: 'more' }
  /** Whole, or certainly none. */
  | { readonly kind: 'read'; readonly name?: string }

/** No client's hello is longer: that of browsers, with keys for a quantum computer's sake, has 2 KiB. */
export const maxHelloBytes = 16 * 1024

const handshakeRecord = 22
const helloMessage = 1
const recordHeadBytes = 5
const messageHeadBytes = 4

/** Says what the beginning of a TLS connection is. Never throws; looks at `maxHelloBytes` at most. */
export function parseClientHello(bytes: Uint8Array): ClientHello {
  const message = firstMessage(
    Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, maxHelloBytes)),
  )
  if (message === 'more') return bytes.length < maxHelloBytes ? { kind: 'more' } : { kind: 'read' }
  if (message === 'none') return { kind: 'read' }
  try {
    const name = serverName(message)
    return { kind: 'read', ...(name !== undefined && { name }) }
  } catch {
    // It says of itself that it is longer than it is.
    return { kind: 'read' }
  }
}

/** The body of the first message, whose parts may come in several records; none of them may be empty. */
function firstMessage(seen: Buffer): Buffer | 'more' | 'none' {
  const parts: Buffer[] = []
  let held = 0
  let length = Number.POSITIVE_INFINITY
  for (let at = 0; ; ) {
    if (at < seen.length && seen[at] !== handshakeRecord) return 'none'
    if (seen.length < at + recordHeadBytes) return 'more'
    const start = at + recordHeadBytes
    at = start + seen.readUInt16BE(start - 2)
    if (at === start) return 'none'
    const part = seen.subarray(start, at)
    parts.push(part)
    held += part.length
    if (length === Number.POSITIVE_INFINITY && held >= messageHeadBytes) {
      const head = Buffer.concat(parts)
      length = messageHeadBytes + head.readUIntBE(1, 3)
      if (head[0] !== helloMessage || length > maxHelloBytes) return 'none'
    }
    if (held >= length) return Buffer.concat(parts).subarray(messageHeadBytes, length)
    if (at > seen.length) return 'more'
  }
}

/** Version and random, session ID, cipher suites and compression methods stand before the extensions. */
function serverName(hello: Buffer): string | undefined {
  let at = 34
  at += 1 + hello.readUInt8(at)
  at += 2 + hello.readUInt16BE(at)
  at += 1 + hello.readUInt8(at)
  // TLS 1.2 lets a client have no extensions at all.
  const end = at + 2 > hello.length ? at : at + 2 + hello.readUInt16BE(at)
  for (at += 2; at + 4 <= end; ) {
    const [type, length] = [hello.readUInt16BE(at), hello.readUInt16BE(at + 2)]
    at += 4
    if (type === 0) return hostName(hello.subarray(at, at + length))
    at += length
  }
  return undefined
}

/** One list with one entry: a type, which is 0 for a host, a length, and the name. */
function hostName(extension: Buffer): string | undefined {
  if (extension.length < 5 || extension.readUInt8(2) !== 0) return undefined
  return extension.subarray(5, 5 + extension.readUInt16BE(3)).toString('latin1') || undefined
}
