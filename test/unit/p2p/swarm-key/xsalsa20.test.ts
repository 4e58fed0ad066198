import { expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { xsalsa20 } from '@noble/ciphers/salsa.js'
import fc from 'fast-check'
import { keystreams } from '#src/p2p/swarm-key/xsalsa20.ts'

const makers = { libsodium: await keystreams(), JavaScript: await keystreams(undefined) }

test.each(['libsodium', 'JavaScript'] as const)('%s: a stream in pieces is what it is in one', (name) => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 30 }),
      fc.boolean(),
      (sizes, inPlace) => {
        const [key, nonce] = [randomBytes(32), randomBytes(24)]
        const xor = makers[name](key, nonce)
        const plain = randomBytes(sizes.reduce((sum, size) => sum + size, 0))
        const sealed = Buffer.from(plain)
        let at = 0
        for (const size of sizes) {
          const from = inPlace ? sealed.subarray(at, at + size) : plain.subarray(at, at + size)
          xor(from, sealed.subarray(at, at + size))
          at += size
        }
        expect(sealed.equals(xsalsa20(key, nonce, plain))).toBe(true)
      },
    ),
  )
})

test('both go on alike behind many megabytes', () => {
  const [key, nonce] = [randomBytes(32), randomBytes(24)]
  const [native, slow] = [makers.libsodium(key, nonce), makers.JavaScript(key, nonce)]
  const piece = randomBytes(1024 * 1024 + 13)
  for (let i = 0; i < 8; i++) {
    const [one, other] = [Buffer.alloc(piece.length), Buffer.alloc(piece.length)]
    native(piece, one)
    slow(piece, other)
    expect(one.equals(other)).toBe(true)
  }
})
