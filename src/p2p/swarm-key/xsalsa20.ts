/**
 * The XSalsa20 keystream of a private network, as it goes along: by libsodium, in place, or by JavaScript where the
 * addon is missing.
 *
 * Memory: 136 bytes per direction.
 */

import { sodium } from '#src/p2p/noise/sodium.ts'

/** Seals or opens the next bytes of a stream: `into` may be `from`, and is as long. */
export type Keystream = (from: Uint8Array, into: Uint8Array) => void

/** The calls that are needed of libsodium, as sodium-native declares them. */
export interface SodiumStream {
  readonly crypto_stream_xor_STATEBYTES: number
  crypto_stream_xor_init(state: Uint8Array, nonce: Uint8Array, key: Uint8Array): void
  crypto_stream_xor_update(state: Uint8Array, into: Uint8Array, from: Uint8Array): void
}

/** Makes the keystream of one direction: `key` is 32 bytes, `nonce` 24. */
export type KeystreamMaker = (key: Uint8Array, nonce: Uint8Array) => Keystream

/** Returns how keystreams are made here. `addon` is for tests: `undefined` forces JavaScript. */
export async function keystreams(
  addon: SodiumStream | undefined = sodium as SodiumStream | undefined,
): Promise<KeystreamMaker> {
  if (addon === undefined) return inJavaScript()
  return (key, nonce) => {
    const state = Buffer.alloc(addon.crypto_stream_xor_STATEBYTES)
    addon.crypto_stream_xor_init(state, nonce, key)
    return (from, into) => addon.crypto_stream_xor_update(state, into, from)
  }
}

const blockBytes = 64

async function inJavaScript(): Promise<KeystreamMaker> {
  const { xsalsa20 } = await import('@noble/ciphers/salsa.js')
  return (key, nonce) => {
    let block = 0
    /** Of the block, bytes that are used up. */
    let used = 0
    return (from, into) => {
      // The library begins at a block, so what is used up of the first one is put in front.
      const padded = new Uint8Array(used + from.length)
      padded.set(from, used)
      const output = xsalsa20(key, nonce, padded, undefined, block)
      into.set(output.subarray(used))
      block += Math.floor(padded.length / blockBytes)
      used = padded.length % blockBytes
    }
  }
}
