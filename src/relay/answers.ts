import { type MultihashKey, prefixOf } from '#src/bitswap/cid.ts'
import { smallBlockBytes } from '#src/bitswap/protocol.ts'
import type { Backend } from '#src/relay/backend.ts'
import type { Buffers } from '#src/relay/buffers.ts'
import type { BlockCache } from '#src/relay/cache.ts'
import type { ClientWant } from '#src/relay/client.ts'
import type { Counters } from '#src/relay/counters.ts'
import { maxNegatives } from '#src/relay/outbox.ts'
import type { Clock, LinksOf } from '#src/relay/ports.ts'
import type { Whereabouts } from '#src/relay/whereabouts.ts'
import { type Body, copyOf, keptBytes } from '#src/util/pieces.ts'

/**
 * What clients are told, and what is remembered of a block that came.
 *
 * Invariant: only verified blocks get here; a want that was answered for good is in no ledger any more; a
 * block that does not fit its reader's buffer is not queued, its want waits for room again. Memory: none
 * of its own.
 */

export interface AnswersDeps {
  readonly clock: Clock
  readonly counters: Counters
  readonly cache: BlockCache
  readonly whereabouts: Whereabouts
  readonly buffers: Buffers
  readonly linksOf: LinksOf
}

/** Links remembered of one block. */
const maxLinks = 4096
/** A message of this size leaves at once; smaller answers wait for what else comes in the same turn. */
const muchBytes = 64 * 1024
/** From here on a small view of a large received frame is copied, so that a slow reader does not keep it. */
const slowReaderBytes = 256 * 1024

export class Answers {
  readonly #deps: AnswersDeps

  constructor(deps: AnswersDeps) {
    this.#deps = deps
  }

  /** Answers a want with its block: sent, or HAVE if only that was wanted and the block is not small. */
  block(want: ClientWant, bytes: Body): void {
    if (want.answered !== undefined) return want.answered(true)
    const { client } = want
    const { counters, buffers, clock } = this.#deps
    if (!want.block && bytes.byteLength > smallBlockBytes) return this.have(want)
    client.sawBlock(bytes.byteLength)
    if (!buffers.fits(client.outbox.bytes, bytes.byteLength)) {
      counters.deferredBlocks++
      client.untell(want)
      client.enqueue(want)
      return
    }
    const nowMs = clock.now()
    this.#remove(want)
    const pinned = client.outbox.bytes > slowReaderBytes && bytes.byteLength * 4 < keptBytes(bytes)
    client.outbox.addBlock(prefixOf(want.cid, want.multihash), pinned ? copyOf(bytes) : bytes)
    client.byteBucket.take(bytes.byteLength, nowMs)
    counters.wantsEnded.block++
    counters.blocksOut++
    counters.bytesOut += bytes.byteLength
    counters.wantLatencyMs.observe(nowMs - want.arrivedMs)
    client.link.wake(client.outbox.bytes >= muchBytes)
  }

  /** Answers a want-have: the block is there. */
  have(want: ClientWant): void {
    if (want.answered !== undefined) return want.answered(true)
    this.#remove(want)
    want.client.outbox.addHave(want.cid)
    this.#deps.counters.wantsEnded.have++
    want.client.link.wake()
  }

  /** Tells those who asked to be told that the block is not there; the want stays, should it still come. */
  dontHave(want: ClientWant): void {
    if (want.answered !== undefined) return want.answered(false)
    if (!want.sendDontHave || want.told) return
    // Not read: it is told with the next round.
    if (want.client.outbox.presences >= maxNegatives) return
    want.client.tell(want)
    want.client.outbox.addDontHave(want.cid)
    this.#deps.counters.wantsEnded['dont-have']++
    want.client.link.wake()
  }

  /** Remembers a verified block that a backend had: where it and what it links to are, and the block itself. */
  learn(key: MultihashKey, codec: number, bytes: Body, backend: Backend): void {
    const { counters, cache, whereabouts, linksOf } = this.#deps
    counters.blocksIn++
    counters.bytesIn += bytes.byteLength
    backend.blocks++
    backend.bytes += bytes.byteLength
    whereabouts.saw(key, backend)
    for (const link of linksOf(codec, bytes, maxLinks)) whereabouts.linked(link as MultihashKey, backend)
    if (cache.enabled) cache.offer(key, bytes)
  }

  #remove(want: ClientWant): void {
    want.client.untell(want)
    want.client.ledger.remove(want)
  }
}
