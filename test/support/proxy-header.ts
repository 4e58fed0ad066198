/**
 * PROXY protocol headers as a load balancer writes them: the other side of src/p2p/door/proxy-protocol.ts, from the same
 * specification, sharing no code with it.
 */
import { isIPv4 } from 'node:net'

/** One end of a connection. */
export interface End {
  readonly host: string
  readonly port: number
}

/** Returns a line of version 1. */
export function proxyLine(source: End, destination: End): Buffer {
  const family = isIPv4(source.host) ? 'TCP4' : 'TCP6'
  return Buffer.from(
    `PROXY ${family} ${source.host} ${destination.host} ${source.port} ${destination.port}\r\n`,
    'latin1',
  )
}

/** What a header of version 2 may say. */
export interface BinaryHeader {
  /** Default 1, PROXY; 0 is LOCAL. */
  readonly command?: number
  /** Family and transport; default: that of the addresses, over TCP. */
  readonly family?: number
  /** In place of the addresses' bytes. */
  readonly addresses?: Uint8Array
  /** Type and value of each extension. */
  readonly extensions?: readonly (readonly [number, Uint8Array])[]
}

/** Returns a header of version 2. */
export function proxyBinary(source: End, destination: End, header: BinaryHeader = {}): Buffer {
  const ports = Buffer.alloc(4)
  ports.writeUInt16BE(source.port, 0)
  ports.writeUInt16BE(destination.port, 2)
  const addresses =
    header.addresses ?? Buffer.concat([hostBytes(source.host), hostBytes(destination.host), ports])
  const extensions = (header.extensions ?? []).map(([type, value]) => {
    const head = Buffer.alloc(3)
    head.writeUInt8(type, 0)
    head.writeUInt16BE(value.length, 1)
    return Buffer.concat([head, value])
  })
  const body = Buffer.concat([addresses, ...extensions])
  const head = Buffer.from([13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10, 0, 0, 0, 0])
  head[12] = 0x20 + (header.command ?? 1)
  head[13] = header.family ?? (isIPv4(source.host) ? 0x11 : 0x21)
  head.writeUInt16BE(body.length, 14)
  return Buffer.concat([head, body])
}

/** Of an IPv4 address, or an IPv6 address with all of its eight groups. */
function hostBytes(host: string): Buffer {
  if (isIPv4(host)) return Buffer.from(host.split('.').map(Number))
  const groups = host.split(':')
  if (groups.length !== 8) throw new Error('write out all eight groups')
  return Buffer.from(groups.map((group) => group.padStart(4, '0')).join(''), 'hex')
}
