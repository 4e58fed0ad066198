import { expect, test } from 'bun:test'
import { hashOf, type Remote, splitProgram } from '#src/p2p/webtransport/shared-port.ts'
import { ipv6Groups } from '#src/util/ipv6.ts'

/** Runs a program as the kernel does, over an IP packet that begins with its header. */
function run(program: ReturnType<typeof splitProgram>, packet: DataView): number {
  let a = 0
  let x = 0
  for (let at = 0; at < program.length; at++) {
    const { code, whenTrue = 0, whenFalse = 0, k } = program[at] as (typeof program)[number]
    const offset = k - 0xfff0_0000
    if (code === 0x20) a = packet.getUint32(offset)
    else if (code === 0x28) a = packet.getUint16(offset)
    else if (code === 0x30) a = packet.getUint8(offset)
    else if (code === 0x24) a = Math.imul(a, k) >>> 0
    else if (code === 0x74) a >>>= k
    else if (code === 0x0c) a = (a + x) >>> 0
    else if (code === 0x07) x = a
    else if (code === 0x05) at += k
    else if (code === 0x15) at += a === k ? whenTrue : whenFalse
    else if (code === 0x06) return k
    else throw new Error(`no instruction ${code}`)
  }
  throw new Error('it has no end')
}

function packetFrom({ host, port }: Remote): DataView {
  const view = new DataView(new ArrayBuffer(64))
  if (host.includes(':')) {
    view.setUint8(0, 0x60)
    for (const [at, group] of ipv6Groups(host).entries()) view.setUint16(8 + 2 * at, group)
    view.setUint16(40, port)
  } else {
    view.setUint8(0, 0x45)
    for (const [at, part] of host.split('.').entries()) view.setUint8(12 + at, Number(part))
    view.setUint16(20, port)
  }
  return view
}

const known: Remote[] = [
  { host: '203.0.113.7', port: 40_000 },
  { host: '203.0.113.7', port: 40_001 },
  { host: '255.255.255.255', port: 65_535 },
  { host: '2001:db8::1', port: 443 },
  { host: 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe', port: 65_535 },
]
const others: Remote[] = [
  { host: '203.0.113.8', port: 40_000 },
  { host: '203.0.113.7', port: 40_002 },
  { host: '2001:db8::2', port: 443 },
  { host: '2001:db8::1', port: 444 },
  { host: '2001:db9::1', port: 443 },
]

test('what comes from those that are known goes to the old server, the rest to the new one', () => {
  const program = splitProgram(known.map(hashOf))
  for (const remote of known) expect([remote, run(program, packetFrom(remote))]).toEqual([remote, 0])
  for (const remote of others) expect([remote, run(program, packetFrom(remote))]).toEqual([remote, 1])
})

test('with nobody to keep everything is for the new one', () => {
  for (const remote of [...known, ...others]) expect(run(splitProgram([]), packetFrom(remote))).toBe(1)
})

test('two thousand fit, and none of them is taken for another', () => {
  const many = Array.from({ length: 2_000 }, (_, i) => ({
    host: `198.51.${i >> 8}.${i & 255}`,
    port: 1_024 + i,
  }))
  const program = splitProgram(many.map(hashOf))
  expect(program.length).toBeLessThanOrEqual(4_096)
  for (const remote of many) expect(run(program, packetFrom(remote))).toBe(0)
  const strangers = many.map(({ host, port }) => ({ host, port: port + 5_000 }))
  expect(strangers.filter((remote) => run(program, packetFrom(remote)) === 0)).toEqual([])
})
