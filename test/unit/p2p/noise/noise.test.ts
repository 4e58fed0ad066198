import { expect, test } from 'bun:test'
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { asCrypto } from '@chainsafe/libp2p-noise/crypto'
import fc from 'fast-check'
import { Uint8ArrayList } from 'uint8arraylist'
import { libcrypto } from '#src/p2p/noise/libcrypto.ts'
import { hybridAead, nativeNoise } from '#src/p2p/noise/noise.ts'
import { type SodiumAead, sodium } from '#src/p2p/noise/sodium.ts'

type Four = [Uint8Array, Uint8Array, Uint8Array, Uint8Array]

const addon = sodium as SodiumAead
const aead = hybridAead(addon)
const sizes = [0, 1, 399, 400, 1200, 4095, 4096, 65_519]
const associated = { none: new Uint8Array(0), hash: randomBytes(32) }

function vector(size: number) {
  return { key: randomBytes(32), nonce: randomBytes(12), plaintext: new Uint8Array(randomBytes(size)) }
}

test('the addon loads where the tests run, so the tests below test it', () => {
  expect(sodium).toBeDefined()
  expect(nativeNoise().aead).toBe('sodium')
})

test('OpenSSL 3 is used where the system has it', () => {
  const known = spawnSync('/sbin/ldconfig', ['-p'], { encoding: 'utf8' }).stdout
  expect(libcrypto() !== undefined).toBe(known.includes('libcrypto.so.3 '))
})

test('OpenSSL is never given a wrong length: it would take memory of others', () => {
  const system = libcrypto()
  if (system === undefined) return
  const [plain, sealed, nonce, key] = [100, 116, 12, 32].map((bytes) => new Uint8Array(bytes)) as Four
  for (const wrong of [
    [sealed.subarray(1), plain, nonce, key],
    [sealed, plain.subarray(1), nonce, key],
    [sealed, plain, nonce.subarray(1), key],
    [sealed, plain, nonce, key.subarray(1)],
    [sealed.subarray(0, 16), plain.subarray(0, 0), nonce, key],
  ] as Four[]) {
    expect(() => system.seal(...wrong)).toThrow(RangeError)
    expect(() => system.open(wrong[1], wrong[0], wrong[2], wrong[3])).toThrow(RangeError)
  }
})

test('without the addon the encrypter says wasm', () => {
  expect(nativeNoise({ addon: undefined }).aead).toBe('wasm')
})

for (const size of sizes) {
  for (const [name, ad] of Object.entries(associated)) {
    test(`seals ${size} bytes as wasm does, associated data: ${name}`, () => {
      const { key, nonce, plaintext } = vector(size)
      const sealed = aead.chaCha20Poly1305Encrypt(plaintext, nonce, ad, key)
      const expected = asCrypto.chaCha20Poly1305Encrypt(plaintext, nonce, ad, key)
      expect(Buffer.from(sealed.subarray()).equals(Buffer.from(expected.subarray()))).toBe(true)
    })

    test(`opens ${size} bytes that wasm sealed, associated data: ${name}`, () => {
      const { key, nonce, plaintext } = vector(size)
      const sealed = asCrypto.chaCha20Poly1305Encrypt(plaintext, nonce, ad, key).subarray()
      const opened = aead.chaCha20Poly1305Decrypt(sealed, nonce, ad, key)
      expect(Buffer.from(opened.subarray()).equals(Buffer.from(plaintext))).toBe(true)
    })

    test(`refuses ${size} bytes with any one byte changed, associated data: ${name}`, () => {
      const { key, nonce, plaintext } = vector(size)
      for (const at of new Set([0, size >> 1, size, size + 15])) {
        const sealed = aead.chaCha20Poly1305Encrypt(plaintext, nonce, ad, key).subarray().slice()
        sealed[at] = (sealed[at] ?? 0) ^ 1
        expect(() => aead.chaCha20Poly1305Decrypt(sealed, nonce, ad, key)).toThrow()
      }
    })
  }

  test(`opens ${size} bytes in place, into the ciphertext's own memory`, () => {
    const { key, nonce, plaintext } = vector(size)
    const sealed = aead.chaCha20Poly1305Encrypt(plaintext, nonce, associated.none, key).subarray()
    const dst = sealed.subarray(0, size)
    const opened = aead.chaCha20Poly1305Decrypt(sealed, nonce, associated.none, key, dst)
    expect(Buffer.from(opened.subarray()).equals(Buffer.from(plaintext))).toBe(true)
    expect(opened.subarray().buffer).toBe(dst.buffer)
  })

  test(`takes ${size} bytes in several buffers`, () => {
    const { key, nonce, plaintext } = vector(size)
    const cut = Math.floor(size / 3)
    const pieces = new Uint8ArrayList(plaintext.subarray(0, cut), plaintext.subarray(cut))
    const sealed = aead.chaCha20Poly1305Encrypt(pieces, nonce, associated.none, key).subarray()
    const list = new Uint8ArrayList(sealed.slice(0, cut), sealed.slice(cut))
    const opened = aead.chaCha20Poly1305Decrypt(list, nonce, associated.none, key)
    expect(Buffer.from(opened.subarray()).equals(Buffer.from(plaintext))).toBe(true)
  })
}

for (const [name, cipher] of [
  ['OpenSSL or libsodium', aead],
  ['libsodium alone', hybridAead(addon, () => undefined)],
] as const) {
  test(`seals what comes in any pieces as one, ${name}`, () => {
    const cuts = fc.array(fc.nat({ max: 40_000 }), { maxLength: 12 })
    fc.assert(
      fc.property(fc.integer({ min: 400, max: 65_519 }), cuts, (size, at) => {
        const { key, nonce, plaintext } = vector(size)
        const ends = [...at.map((n) => Math.min(n, size)).sort((a, b) => a - b), size]
        // As views of larger memory, some of them empty.
        const pieces = ends.map((end, i) => plaintext.subarray(ends[i - 1] ?? 0, end))
        const list = new Uint8ArrayList(...pieces)
        const sealed = cipher.chaCha20Poly1305Encrypt(list, nonce, associated.none, key)
        const expected = asCrypto.chaCha20Poly1305Encrypt(plaintext, nonce, associated.none, key)
        expect(Buffer.from(sealed.subarray()).equals(Buffer.from(expected.subarray()))).toBe(true)
        expect(list.subarray()).toEqual(plaintext)
      }),
      { numRuns: 60 },
    )
  })
}

for (const system of [true, false]) {
  test(`the addon is asked for 400 bytes and more, ${system ? 'OpenSSL for 4096 and more' : 'and only then'}`, () => {
    const calls: string[] = []
    const spied = hybridAead(
      {
        crypto_aead_chacha20poly1305_ietf_encrypt: (...args) => {
          calls.push(`seal ${args[1].byteLength}`)
          return addon.crypto_aead_chacha20poly1305_ietf_encrypt(...args)
        },
        crypto_aead_chacha20poly1305_ietf_decrypt: (...args) => {
          calls.push(`open ${args[0].byteLength}`)
          return addon.crypto_aead_chacha20poly1305_ietf_decrypt(...args)
        },
      },
      () => (system ? libcrypto() : undefined),
    )
    for (const size of sizes) {
      const { key, nonce, plaintext } = vector(size)
      const sealed = spied.chaCha20Poly1305Encrypt(plaintext, nonce, associated.none, key)
      spied.chaCha20Poly1305Decrypt(sealed, nonce, associated.none, key)
    }
    const large = sizes.filter((size) => size >= 400 && (size < 4096 || !system))
    expect(calls).toEqual(large.flatMap((size) => [`seal ${size}`, `open ${size}`]))
  })
}
