/**
 * An honest client with an honest backend: while a test attacks the edge between them, it keeps fetching, and says
 * when that is not possible any more.
 */
import { expect } from 'bun:test'
import { type RawClient, startRawClient } from '#test/support/raw-client.ts'
import { type RawWant, rawPrefix } from '#test/support/raw-message.ts'
import { type RogueBackend, startRogueBackend } from '#test/support/rogue-backend.ts'
import { seededBlock, seededCid } from '#test/support/seeded-content.ts'

const seed = 77
const blockBytes = 50_000
const blocks = 400

/** A running pair; `join` first. */
export interface Bystander {
  readonly backend: RogueBackend
  /** Connects its client to an edge in front of `backend`. */
  join(address: string): Promise<void>
  /** Fetches so many blocks one after the other, each within five seconds, and checks their bytes. */
  fetches(count: number): Promise<void>
  /** Wants for all that the backend has, 20 MB. */
  contentWants(): RawWant[]
  stop(): Promise<void>
}

/** Starts the backend. */
export async function startBystander(): Promise<Bystander> {
  const contents = new Map(
    Array.from({ length: blocks }, (_, i) => {
      const bytes = seededBlock(seed, i, blockBytes)
      return [seededCid(seed, i, blockBytes).toString(), bytes]
    }),
  )
  const cids = Array.from({ length: blocks }, (_, i) => seededCid(seed, i, blockBytes))
  const backend = await startRogueBackend({
    async answer(wants, answer) {
      const asked = wants.filter(({ cancel }) => !cancel)
      const has = asked.filter(({ cid }) => contents.has(cid.toString()))
      await answer.send({
        dontHaves: asked.filter(({ cid }) => !contents.has(cid.toString())).map(({ cid }) => cid.bytes),
        haves: has.filter(({ have }) => have).map(({ cid }) => cid.bytes),
      })
      for (const { cid, have } of has) {
        const bytes = contents.get(cid.toString())
        if (!have && bytes) await answer.send({ blocks: [{ prefix: rawPrefix, bytes }] })
      }
    },
  })
  let client: RawClient | undefined
  let next = 0
  return {
    backend,
    async join(address) {
      client = await startRawClient(address)
    },
    async fetches(count) {
      if (client === undefined) throw new Error('join first')
      for (let i = 0; i < count; i++) {
        const cid = cids[next++ % blocks]!
        client.received.blocks.clear()
        await client.want([cid], { sendDontHave: true })
        await client.until((received) => received.blocks.has(cid.toString()), 5_000)
        expect(client.received.blocks.get(cid.toString())).toEqual(contents.get(cid.toString()))
      }
    },
    contentWants: () => cids.map((cid) => ({ cid: cid.bytes })),
    async stop() {
      await client?.stop()
      await backend.stop()
    },
  }
}
