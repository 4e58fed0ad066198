/**
 * A private network (specs/pnet/Private-Networks-PSK-V1.md): below everything else both sides send a nonce of 24
 * bytes, and all that follows is XSalsa20 of the key that they share. Who has another key sees noise.
 *
 * Invariant: nothing is handed on before the peer's first words were those of a libp2p peer with this key.
 * Memory: those words, 20 bytes; messages are sealed and opened in place.
 */

import { randomBytes } from 'node:crypto'
import type { AbortOptions, MessageStream, MultiaddrConnection } from '@libp2p/interface'
import { type AbstractMessageStream, AbstractMultiaddrConnection, type SendResult } from '@libp2p/utils'
import type { Uint8ArrayList } from 'uint8arraylist'
import { readShort, sendShort } from '#src/mux/short-way.ts'
import type { Keystream, KeystreamMaker } from '#src/p2p/swarm-key/xsalsa20.ts'
import { isLent, lend } from '#src/p2p/tcp/send-buffers.ts'

const nonceBytes = 24

/** A peer that is dialled greets within this; one with another key may wait for ever for the rest of a message. */
const greetingMs = 4_000

/** What every libp2p peer says first, on both sides: multistream's length, name and newline. */
const greeting = Buffer.from('\x13/multistream/1.0.0\n')

export interface ProtectorDeps {
  /** 32 bytes. */
  readonly key: Uint8Array
  readonly keystream: KeystreamMaker
  /** Called once for each connection that is ended because the peer has not this key. */
  readonly refused: (connection: MultiaddrConnection, reason: string) => void
}

/** Says that a peer has another swarm key, or none. */
export class SwarmKeyError extends Error {
  override readonly name = 'SwarmKeyError'
}

/** Returns libp2p's `connectionProtector`. */
export function swarmKeyProtector(deps: ProtectorDeps): () => {
  protect(connection: MultiaddrConnection): Promise<MessageStream>
} {
  return () => ({
    protect: async (connection) => new ProtectedStream(connection as LibraryConnection, deps),
  })
}

/** What the library's connections have and its interface does not tell. */
type LibraryConnection = MultiaddrConnection &
  Pick<AbstractMessageStream, 'maxReadBufferLength' | 'readStatus'>

class ProtectedStream extends AbstractMultiaddrConnection {
  readonly #below: LibraryConnection
  readonly #deps: ProtectorDeps
  readonly #seal: Keystream
  #open: Keystream | undefined
  /** The peer's nonce, then its greeting, as far as they are here. */
  #first: Uint8Array | undefined = new Uint8Array()
  readonly #late: ReturnType<typeof setTimeout> | undefined

  constructor(below: LibraryConnection, deps: ProtectorDeps) {
    super({
      remoteAddr: below.remoteAddr,
      log: below.log,
      direction: below.direction,
      maxReadBufferLength: below.maxReadBufferLength,
      inactivityTimeout: below.inactivityTimeout,
    })
    this.#below = below
    this.#deps = deps
    const nonce = randomBytes(nonceBytes)
    this.#seal = deps.keystream(deps.key, nonce)
    sendShort(below)
    below.send(nonce)
    below.addEventListener('message', ({ data }) => {
      for (const piece of data instanceof Uint8Array ? [data] : data) this.#take(piece)
    })
    readShort(below, (piece) => this.#take(piece))
    below.addEventListener('drain', () => this.safeDispatchEvent('drain'))
    below.addEventListener('close', ({ error }) => this.#ended(error))
    // Who dials in has the time of the upgrade, and the gate counts him.
    if (below.direction === 'outbound') {
      this.#late = setTimeout(
        () => this.#refuse('the peer does not greet: its swarm key is different or missing'),
        greetingMs,
      )
    }
  }

  /** Whoever dialled looks for it on the connection that it made. */
  set tlsFailed(error: Error) {
    const below = this.#below as LibraryConnection & { tlsFailed?: Error }
    below.tlsFailed = error
  }

  override sendData(data: Uint8ArrayList): SendResult {
    const bytes = data.subarray()
    // Lent memory is this message's alone, so it is sealed where it is.
    const sealed = isLent(bytes) ? bytes : lend(bytes.length)
    this.#seal(bytes, sealed)
    return { sentBytes: bytes.length, canSendMore: this.#below.send(sealed) }
  }

  override sendReset(error: Error): void {
    this.#below.abort(error)
  }

  override sendPause(): void {
    if (this.#below.readStatus === 'readable') this.#below.pause()
  }

  override sendResume(): void {
    if (this.#below.readStatus === 'paused') this.#below.resume()
  }

  override sendClose(options?: AbortOptions): Promise<void> {
    return this.#below.close(options)
  }

  #take(bytes: Uint8Array): void {
    // Refused within the piece before.
    if (this.readStatus === 'closed') return
    if (this.#first !== undefined) this.#meet(bytes)
    else if (this.#open !== undefined) {
      this.#open(bytes, bytes)
      this.onData(bytes)
    }
  }

  /** Hands on what the peer says once its greeting is right. */
  #meet(bytes: Uint8Array): void {
    const first = Buffer.concat([this.#first ?? new Uint8Array(), bytes])
    this.#first = first
    if (first.length >= greeting.length && first.subarray(0, greeting.length).equals(greeting))
      return this.#refuse('the peer is in no private network: it has no swarm key')
    if (first.length < nonceBytes + greeting.length) return
    const { key, keystream } = this.#deps
    this.#open = keystream(key, first.subarray(0, nonceBytes))
    const said = first.subarray(nonceBytes)
    this.#open(said, said)
    if (!said.subarray(0, greeting.length).equals(greeting))
      return this.#refuse('the peer has a different swarm key')
    this.#first = undefined
    clearTimeout(this.#late)
    this.onData(said)
  }

  /** A peer that is dialled with another key than its own hangs up: it hears noise. */
  #ended(error: Error | undefined): void {
    clearTimeout(this.#late)
    if (this.status !== 'open' && this.status !== 'closing') return
    // Errors of sockets have a code; any other is that of who gave the dial up here, whatever it was wrapped in.
    const hungUp = error === undefined || typeof (error as NodeJS.ErrnoException).code === 'string'
    if (this.#first !== undefined && this.direction === 'outbound' && this.status === 'open' && hungUp)
      return this.#refuse(
        'the peer hung up before it greeted: its swarm key is different or missing, or it takes nobody in',
      )
    if (error !== undefined) this.abort(error)
    else this.onTransportClosed()
  }

  #refuse(reason: string): void {
    clearTimeout(this.#late)
    this.#deps.refused(this.#below, reason)
    this.abort(new SwarmKeyError(reason))
  }
}
