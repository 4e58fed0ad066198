/**
 * ChaCha20-Poly1305 of the system's OpenSSL 3, where there is one: hand-written for the widest vectors of the processor,
 * it takes half of what libsodium's portable code takes for a long frame, and sealing is the largest single cost of a
 * proxied byte. The runtime has BoringSSL inside, but hands this cipher out to other threads only.
 *
 * Invariant: `undefined` where it cannot be loaded or does not compute what it should, never an exception. Memory: one
 * cipher context for sealing and one for opening, whoever the frame is for; keys are set anew for every frame.
 */

import type { Bytes } from '#src/mux/short-way.ts'
import { eachPiece } from '#src/util/pieces.ts'

const tagBytes = 16
const keyBytes = 32
const nonceBytes = 12
/** EVP_CTRL_AEAD_GET_TAG and EVP_CTRL_AEAD_SET_TAG of openssl/evp.h. */
const getTag = 0x10
const setTag = 0x11

export interface LongAead {
  /** Writes ciphertext and tag of what `plain` has in pieces into `sealed`. */
  seal(sealed: Uint8Array, plain: Bytes, nonce: Uint8Array, key: Uint8Array): void
  /** Writes the plaintext into `plain`, which may be the beginning of `sealed`; false when the tag is wrong. */
  open(plain: Uint8Array, sealed: Uint8Array, nonce: Uint8Array, key: Uint8Array): boolean
}

/** What is called of libcrypto: pointers are `Pointer` or bytes, results 1 for well. */
interface Evp {
  EVP_CIPHER_CTX_new(): unknown
  EVP_chacha20_poly1305(): unknown
  EVP_CipherInit_ex(
    context: unknown,
    cipher: unknown,
    engine: null,
    key: Uint8Array | null,
    nonce: Uint8Array | null,
    seals: number,
  ): number
  EVP_CipherUpdate(
    context: unknown,
    to: Uint8Array,
    length: Int32Array,
    from: Uint8Array,
    bytes: number,
  ): number
  EVP_CipherFinal_ex(context: unknown, to: Uint8Array, length: Int32Array): number
  EVP_CIPHER_CTX_ctrl(context: unknown, what: number, bytes: number, tag: Uint8Array): number
}

/** The ABI of OpenSSL 3; other major versions have other names. */
const fileNames: Partial<Record<NodeJS.Platform, string>> = { linux: 'libcrypto.so.3' }

let loaded: LongAead | undefined | null = null

/** Returns it, loading it at the first call (about 2 ms). */
export function libcrypto(): LongAead | undefined {
  if (loaded === null) loaded = load()
  return loaded
}

function load(): LongAead | undefined {
  const fileName = fileNames[process.platform]
  if (fileName === undefined || process.versions.bun === undefined) return undefined
  try {
    // By `require`: the module exists in Bun only, and is wanted now, in the middle of a seal.
    const { dlopen } = require('bun:ffi') as typeof import('bun:ffi')
    const { symbols } = dlopen(fileName, {
      EVP_CIPHER_CTX_new: { args: [], returns: 'ptr' },
      EVP_chacha20_poly1305: { args: [], returns: 'ptr' },
      EVP_CipherInit_ex: { args: ['ptr', 'ptr', 'ptr', 'ptr', 'ptr', 'i32'], returns: 'i32' },
      EVP_CipherUpdate: { args: ['ptr', 'ptr', 'ptr', 'ptr', 'i32'], returns: 'i32' },
      EVP_CipherFinal_ex: { args: ['ptr', 'ptr', 'ptr'], returns: 'i32' },
      EVP_CIPHER_CTX_ctrl: { args: ['ptr', 'i32', 'i32', 'ptr'], returns: 'i32' },
    })
    const aead = new EvpAead(symbols as unknown as Evp)
    return computesRight(aead) ? aead : undefined
  } catch {
    return undefined
  }
}

class EvpAead implements LongAead {
  readonly #evp: Evp
  readonly #sealing: unknown
  readonly #opening: unknown
  readonly #length = new Int32Array(1)

  constructor(evp: Evp) {
    this.#evp = evp
    this.#sealing = this.#context(1)
    this.#opening = this.#context(0)
  }

  seal(sealed: Uint8Array, plain: Bytes, nonce: Uint8Array, key: Uint8Array): void {
    checkLengths(sealed, plain.byteLength, nonce, key)
    const tag = sealed.subarray(sealed.length - tagBytes)
    const done =
      this.#crypt(this.#sealing, 1, sealed, plain, nonce, key) &&
      this.#evp.EVP_CIPHER_CTX_ctrl(this.#sealing, getTag, tagBytes, tag) === 1
    if (!done) throw new Error('libcrypto seals nothing')
  }

  open(plain: Uint8Array, sealed: Uint8Array, nonce: Uint8Array, key: Uint8Array): boolean {
    checkLengths(sealed, plain.length, nonce, key)
    const bytes = plain.length
    if (this.#evp.EVP_CIPHER_CTX_ctrl(this.#opening, setTag, tagBytes, sealed.subarray(bytes)) !== 1)
      return false
    return this.#crypt(this.#opening, 0, plain, sealed.subarray(0, bytes), nonce, key)
  }

  #crypt(
    context: unknown,
    seals: number,
    to: Uint8Array,
    from: Bytes,
    nonce: Uint8Array,
    key: Uint8Array,
  ): boolean {
    const evp = this.#evp
    let done = evp.EVP_CipherInit_ex(context, null, null, key, nonce, seals) === 1
    let at = 0
    eachPiece(from, (piece) => {
      const { length } = piece
      // Memory without a byte has no address to hand over.
      if (length === 0 || !done) return
      done =
        at + length <= to.length &&
        evp.EVP_CipherUpdate(context, to.subarray(at), this.#length, piece, length) === 1
      at += length
    })
    return done && evp.EVP_CipherFinal_ex(context, to, this.#length) === 1
  }

  #context(seals: number): unknown {
    const context = this.#evp.EVP_CIPHER_CTX_new()
    const cipher = this.#evp.EVP_chacha20_poly1305()
    if (this.#evp.EVP_CipherInit_ex(context, cipher, null, null, null, seals) !== 1)
      throw new Error('libcrypto has no ChaCha20-Poly1305')
    return context
  }
}

/** What is handed over are addresses: a wrong length would be somebody else's memory. */
function checkLengths(sealed: Uint8Array, plainBytes: number, nonce: Uint8Array, key: Uint8Array): void {
  if (
    plainBytes === 0 ||
    sealed.length !== plainBytes + tagBytes ||
    nonce.length !== nonceBytes ||
    key.length !== keyBytes
  ) {
    throw new RangeError('not the lengths of ChaCha20-Poly1305')
  }
}

/** RFC 8439, section 2.8.2, without its associated data: only the ciphertext's beginning and its own opening count. */
function computesRight(aead: LongAead): boolean {
  const plain = Buffer.from("Ladies and Gentlemen of the class of '99: If I could offer you o")
  const key = Uint8Array.from({ length: keyBytes }, (_, i) => 0x80 + i)
  const nonce = Buffer.from('070000004041424344454647', 'hex')
  const sealed = Buffer.alloc(plain.length + tagBytes)
  aead.seal(sealed, plain, nonce, key)
  const begins = Buffer.from('d31a8d34648e60db7b86afbc53ef7ec2', 'hex').equals(sealed.subarray(0, 16))
  const opened = Buffer.alloc(plain.length)
  const opens = aead.open(opened, sealed, nonce, key) && opened.equals(plain)
  sealed[0] = (sealed[0] as number) ^ 1
  return begins && opens && !aead.open(opened, sealed, nonce, key)
}
