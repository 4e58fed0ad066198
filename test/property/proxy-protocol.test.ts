import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { plainHost } from '#src/p2p/addresses.ts'
import { maxHeaderBytes, type ProxyHeader, parseProxyHeader } from '#src/p2p/door/proxy-protocol.ts'
import { type End, proxyBinary, proxyLine } from '#test/support/proxy-header.ts'

const port = fc.integer({ min: 0, max: 65_535 })
const ipv4 = fc.ipV4()
/** With all eight groups, as the encoder wants it. */
const ipv6 = fc
  .array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 65_535 })), { minLength: 8, maxLength: 8 })
  .map((groups) => groups.map((group) => group.toString(16)).join(':'))
const ends = fc.oneof(fc.tuple(ipv4, ipv4), fc.tuple(ipv6, ipv6)).chain(([from, to]) =>
  fc.record({
    source: fc.record({ host: fc.constant(from), port }),
    destination: fc.record({ host: fc.constant(to), port }),
  }),
)
const extensions = fc.array(fc.tuple(fc.integer({ min: 0, max: 255 }), fc.uint8Array({ maxLength: 100 })), {
  maxLength: 5,
})
const header = fc.oneof(
  ends.map(({ source, destination }) => ({ source, bytes: proxyLine(source, destination) })),
  fc.tuple(ends, extensions).map(([{ source, destination }, more]) => ({
    source,
    bytes: proxyBinary(source, destination, { extensions: more }),
  })),
)

function whole(bytes: Buffer, source: End): ProxyHeader {
  return {
    kind: 'whole',
    length: bytes.length,
    source: { host: plainHost(source.host) ?? '', port: source.port },
  }
}

test('what a load balancer writes is read, whatever comes behind it, and no earlier than it is whole', () => {
  fc.assert(
    fc.property(header, fc.uint8Array({ maxLength: 200 }), ({ source, bytes }, rest) => {
      expect(parseProxyHeader(Buffer.concat([bytes, rest]))).toEqual(whole(bytes, source))
      for (let cut = 0; cut < bytes.length; cut++) {
        expect(parseProxyHeader(bytes.subarray(0, cut))).toEqual({ kind: 'more' })
      }
    }),
  )
})

test('LOCAL is whole and names nobody, whatever family and bytes it comes with', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 255 }),
      fc.uint8Array({ maxLength: 4_096 }),
      (family, addresses) => {
        const nobody = { host: '0.0.0.0', port: 0 }
        const bytes = proxyBinary(nobody, nobody, { command: 0, family, addresses })
        expect(parseProxyHeader(bytes)).toEqual({ kind: 'whole', length: bytes.length })
      },
    ),
  )
})

/** Bytes that look like a header for a while. */
const almost = fc
  .tuple(header, fc.array(fc.tuple(fc.nat({ max: 300 }), fc.integer({ min: 0, max: 255 })), { maxLength: 4 }))
  .map(([{ bytes }, changes]) => {
    const changed = Buffer.from(bytes)
    for (const [at, byte] of changes) if (at < changed.length) changed[at] = byte
    return changed
  })

test('garbage is told as such, never throws, and never keeps a reader waiting beyond the largest header', () => {
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), almost), (bytes) => {
      const read = parseProxyHeader(bytes)
      if (read.kind === 'whole')
        expect(read.length).toBeLessThanOrEqual(Math.min(bytes.length, maxHeaderBytes))
      const endless = Buffer.concat([bytes, Buffer.alloc(maxHeaderBytes, 0x41)])
      expect(parseProxyHeader(endless).kind).not.toBe('more')
      // What was decided stays decided: later bytes change nothing.
      if (read.kind !== 'more') expect(parseProxyHeader(endless)).toEqual(read)
    }),
    { numRuns: 500 },
  )
})
