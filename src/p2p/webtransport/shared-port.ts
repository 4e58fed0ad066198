/**
 * One UDP port, two servers: the one before, which keeps the clients that it has, and the new one for everybody else.
 * A server cannot change its certificate, and its successor must not cost anybody the connection.
 *
 * Linux lets sockets of one user share a port (SO_REUSEPORT) and asks a little program which of them gets a packet
 * (SO_ATTACH_REUSEPORT_CBPF, socket(7)): the clients of the old server stand in it, by a hash of address and port. To
 * attach it takes any socket on that port, so one comes and goes. Keeps nothing but the C library's functions.
 */

import { ipv6Groups } from '#src/util/ipv6.ts'

/** Sockets are numbered as they come; when one goes, the last takes its place. */
export interface SharedPort {
  /** Everything goes to the socket `index`; false where the system does not do it. */
  all(index: 0 | 1): boolean
  /** What comes from `remotes` goes to the socket 0, the rest to 1. Returns how many of them found room, 0 if none can. */
  split(remotes: readonly Remote[]): number
}

export interface Remote {
  readonly host: string
  readonly port: number
}

/** One instruction of classic BPF: `struct sock_filter` of linux/filter.h. */
interface Instruction {
  readonly code: number
  readonly whenTrue?: number
  readonly whenFalse?: number
  readonly k: number
}

/** BPF_MAXINSNS of linux/bpf_common.h. */
const mostInstructions = 4_096
const hashFactor = 0x9e3779b1
/** SKF_NET_OFF of linux/filter.h: from here on offsets are into the IP header. */
const networkHeader = 0xfff0_0000

const op = {
  loadWord: 0x20,
  loadHalf: 0x28,
  loadByte: 0x30,
  multiply: 0x24,
  shiftRight: 0x74,
  addX: 0x0c,
  toX: 0x07,
  jump: 0x05,
  jumpIfEqual: 0x15,
  return: 0x06,
} as const

/** Returns a program that sends what comes from the hashes to 0 and the rest to 1. */
export function splitProgram(hashes: readonly number[]): Instruction[] {
  const load = (code: number, offset: number): Instruction => ({ code, k: networkHeader + offset })
  const fold = (offsets: readonly number[], portOffset: number): Instruction[] => [
    load(op.loadWord, offsets[0] ?? 0),
    ...offsets.slice(1).flatMap((offset) => [...mixed, load(op.loadWord, offset), { code: op.addX, k: 0 }]),
    ...mixed,
    load(op.loadHalf, portOffset),
    { code: op.addX, k: 0 },
  ]
  const ipv6 = fold([8, 12, 16, 20], 40)
  // Without options, as everybody sends it.
  const ipv4 = [...fold([12], 20), { code: op.jump, k: ipv6.length }]
  return [
    load(op.loadByte, 0),
    { code: op.shiftRight, k: 4 },
    { code: op.jumpIfEqual, whenFalse: ipv4.length, k: 4 },
    ...ipv4,
    ...ipv6,
    ...hashes.flatMap((k) => [
      { code: op.jumpIfEqual, whenFalse: 1, k },
      { code: op.return, k: 0 },
    ]),
    { code: op.return, k: 1 },
  ]
}

const mixed: readonly Instruction[] = [
  { code: op.multiply, k: hashFactor },
  { code: op.toX, k: 0 },
]

/** Returns what the program makes of a packet from there. */
export function hashOf({ host, port }: Remote): number {
  const numbers = host.includes(':') ? ipv6Groups(host) : host.split('.').map(Number)
  const bits = host.includes(':') ? 16 : 8
  let hash = 0
  for (let at = 0; at < numbers.length; at += 32 / bits) {
    const word = numbers.slice(at, at + 32 / bits).reduce((sum, part) => sum * 2 ** bits + part, 0)
    hash = Math.imul(hash + word, hashFactor) >>> 0
  }
  return (hash + port) >>> 0
}

/** Returns the way to steer a port that is bound already, or `undefined` where the system has none. */
export function sharedPort(host: string, port: number): SharedPort | undefined {
  const libc = loadLibc()
  if (libc === undefined) return undefined
  const attach = (program: readonly Instruction[]): boolean => {
    try {
      libc.attach(host, port, program)
      return true
    } catch {
      return false
    }
  }
  return {
    all: (index) => attach([{ code: op.return, k: index }]),
    split(remotes) {
      const empty = splitProgram([]).length
      const hashes = remotes.slice(0, Math.floor((mostInstructions - empty) / 2)).map(hashOf)
      return attach(splitProgram(hashes)) ? hashes.length : 0
    },
  }
}

/** Whether servers may share a port, and clients be told apart. */
export function canSharePort(): boolean {
  return loadLibc() !== undefined
}

interface Libc {
  /** Throws with the name of the call that failed. */
  attach(host: string, port: number, program: readonly Instruction[]): void
}

/** Of asm-generic/socket.h; other processors than these have other numbers. */
const socketLevel = 1
const reusePort = 15
const attachReusePortFilter = 51
const families = { ip4: 2, ip6: 10 }
const datagramsClosedOnExec = 2 | 0o2000000

let loaded: Libc | undefined | null = null

function loadLibc(): Libc | undefined {
  if (loaded === null) loaded = load()
  return loaded
}

function load(): Libc | undefined {
  const isKnown = process.platform === 'linux' && ['x64', 'arm64'].includes(process.arch)
  if (!isKnown || process.versions.bun === undefined) return undefined
  try {
    const { dlopen, ptr } = require('bun:ffi') as typeof import('bun:ffi')
    const { symbols } = dlopen('libc.so.6', {
      socket: { args: ['i32', 'i32', 'i32'], returns: 'i32' },
      setsockopt: { args: ['i32', 'i32', 'i32', 'ptr', 'u32'], returns: 'i32' },
      bind: { args: ['i32', 'ptr', 'u32'], returns: 'i32' },
      close: { args: ['i32'], returns: 'i32' },
    })
    return {
      attach(host, port, program) {
        const fd = symbols.socket(host.includes(':') ? families.ip6 : families.ip4, datagramsClosedOnExec, 0)
        const must = (call: string, result: number): void => {
          if (result < 0) throw new Error(`${call} failed on the port ${port}`)
        }
        must('socket', fd)
        try {
          must('SO_REUSEPORT', symbols.setsockopt(fd, socketLevel, reusePort, new Int32Array([1]), 4))
          const address = socketAddress(host, port)
          must('bind', symbols.bind(fd, address, address.byteLength))
          const filter = encode(program)
          // struct sock_fprog: the length, padding, a pointer.
          const described = new DataView(new ArrayBuffer(16))
          described.setUint16(0, program.length, true)
          described.setBigUint64(8, BigInt(ptr(filter)), true)
          const given = new Uint8Array(described.buffer)
          must(
            'SO_ATTACH_REUSEPORT_CBPF',
            symbols.setsockopt(fd, socketLevel, attachReusePortFilter, given, given.byteLength),
          )
        } finally {
          if (fd >= 0) symbols.close(fd)
        }
      },
    }
  } catch {
    return undefined
  }
}

/** `struct sockaddr_in` or `sockaddr_in6`, little-endian but for the port and the address. */
function socketAddress(host: string, port: number): Uint8Array {
  const isIpv6 = host.includes(':')
  const view = new DataView(new ArrayBuffer(isIpv6 ? 28 : 16))
  view.setUint16(0, isIpv6 ? families.ip6 : families.ip4, true)
  view.setUint16(2, port)
  if (isIpv6) for (const [at, group] of ipv6Groups(host).entries()) view.setUint16(8 + 2 * at, group)
  else for (const [at, part] of host.split('.').entries()) view.setUint8(4 + at, Number(part))
  return new Uint8Array(view.buffer)
}

function encode(program: readonly Instruction[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(program.length * 8))
  for (const [at, { code, whenTrue = 0, whenFalse = 0, k }] of program.entries()) {
    view.setUint16(8 * at, code, true)
    view.setUint8(8 * at + 2, whenTrue)
    view.setUint8(8 * at + 3, whenFalse)
    view.setUint32(8 * at + 4, k, true)
  }
  return new Uint8Array(view.buffer)
}
