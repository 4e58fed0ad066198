/**
 * A backend whose refs is a script of the test: it answers what it likes, breaks off where it likes, and may want
 * blocks of the edge that nobody granted. Its RPC says `id` truly, so that an edge takes it for a Kubo.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { PrivateKey } from '@libp2p/interface'
import type { CID } from 'multiformats/cid'
import { type RawWant, rawFrame } from '#test/support/raw-message.ts'
import {
  type RogueRpc,
  rpcBehaviours,
  startRogueBackend,
  startRogueRpc,
} from '#test/support/rogue-backend.ts'
import { rawCid } from '#test/support/seeded-content.ts'
import { Watchers } from '#test/support/watchers.ts'

/** A refs that the edge asked for. */
export interface RefsAtBackend {
  /** The whole path and query. */
  readonly url: string
  readonly arg: string
  readonly headers: IncomingMessage['headers']
  /** Answers 200 with these refs as lines; can be called again. False: more than the edge takes for now. */
  lines(...refs: readonly string[]): boolean
  /** Resolves once the edge takes more. */
  readonly drained: Promise<void>
  /** Ends the answer as Kubo does, with an `Err` line where something went wrong. */
  end(error?: string): void
  /** Answers a failure before the first line. */
  fail(message: string, status?: number): void
  /** Cuts the connection. */
  cut(): void
  /** Resolves once the edge has gone away from this call. */
  readonly gone: Promise<void>
}

/** A running backend. */
export interface AskingBackend {
  readonly peerId: string
  /** `http://127.0.0.1:PORT`, as an edge's `KITSUNE_BACKENDS` has it. */
  readonly rpc: string
  readonly lanes: ReadonlySet<string>
  /** Refs asked for so far. */
  readonly refs: readonly RefsAtBackend[]
  /** Paths asked for so far, `id` aside. */
  readonly paths: readonly string[]
  /** Sends wants to the edge, on every lane. */
  want(cids: readonly CID[], how?: Omit<RawWant, 'cid'>): Promise<void>
  /** Blocks that the edge sent. */
  readonly received: number
  /** Whether the edge sent the block of a CID, in any form of it. */
  holds(cid: CID): boolean
  /** Resolves once `holds`, which is looked at after everything that comes; rejects after `timeoutMs`. */
  until(holds: (backend: AskingBackend) => boolean, timeoutMs?: number): Promise<void>
  stop(): Promise<void>
}

/** Starts one; `script` does each refs, and is on its own from then on. */
export async function startAskingBackend(
  script: (refs: RefsAtBackend, backend: AskingBackend) => void | Promise<void>,
  options: { readonly privateKey?: PrivateKey } = {},
): Promise<AskingBackend> {
  const refs: RefsAtBackend[] = []
  const paths: string[] = []
  const blocks = new Set<string>()
  const watchers = new Watchers()
  const tell = (): void => {
    watchers.tell()
  }
  const peer = await startRogueBackend({
    ...options,
    // It has nothing itself.
    async answer(wants, answer) {
      const open = wants.filter(({ cancel }) => !cancel)
      if (open.length > 0) await answer.send({ dontHaves: open.map(({ cid }) => cid.bytes) })
    },
    block(bytes) {
      blocks.add(keyOf(rawCid(bytes)))
      tell()
    },
  })
  const sayId = rpcBehaviours.id(peer.peerId, [peer.addr])
  let rpc: RogueRpc
  try {
    rpc = await startRogueRpc((request, response) => {
      const url = request.url ?? ''
      if (url.startsWith('/api/v0/id')) return sayId(request, response)
      paths.push(url)
      if (!url.startsWith('/api/v0/refs')) return void response.writeHead(404).end('404 page not found')
      const asked = refsOf(request, response)
      refs.push(asked)
      // What became of it the test hears from the edge.
      void (async () => script(asked, backend))().catch(() => {})
      tell()
    })
  } catch (error) {
    await peer.stop()
    throw error
  }
  const backend: AskingBackend = {
    peerId: peer.peerId,
    rpc: rpc.url,
    lanes: peer.lanes,
    refs,
    paths,
    get received() {
      return blocks.size
    },
    holds: (cid) => blocks.has(keyOf(cid)),
    async want(cids, how = {}) {
      const frame = rawFrame({ wants: cids.map((cid) => ({ cid: cid.bytes, ...how })) })
      await Promise.all(peer.node.getConnections().map((lane) => peer.sendTo(lane, frame)))
    },
    until: (holds, timeoutMs = 10_000) =>
      watchers.until(
        () => holds(backend),
        timeoutMs,
        () => `${holds}; ${refs.length} refs, ${blocks.size} blocks`,
      ),
    async stop() {
      await rpc.stop()
      await peer.stop()
    },
  }
  return backend
}

const keyOf = (cid: CID): string => Buffer.from(cid.multihash.bytes).toString('hex')

function refsOf(request: IncomingMessage, response: ServerResponse): RefsAtBackend {
  const url = request.url ?? ''
  const gone = Promise.withResolvers<void>()
  response.on('close', () => {
    if (!response.writableFinished) gone.resolve()
  })
  const begin = (): void => {
    if (response.headersSent) return
    response.writeHead(200, {
      'content-type': 'application/json',
      'x-chunked-output': '1',
      trailer: 'X-Stream-Error',
      server: 'kubo/0.43.0-rogue',
    })
  }
  const line = (ref: string, error: string): boolean =>
    response.write(`${JSON.stringify({ Ref: ref, Err: error })}\n`)
  return {
    url,
    arg: new URL(url, 'http://backend').searchParams.get('arg') ?? '',
    headers: request.headers,
    gone: gone.promise,
    lines(...refs) {
      begin()
      return refs.map((ref) => line(ref, '')).every(Boolean)
    },
    get drained() {
      return new Promise<void>((resolve) => response.once('drain', resolve))
    },
    end(error) {
      begin()
      if (error !== undefined) line('', error)
      response.end()
    },
    fail(message, status = 500) {
      response.writeHead(status, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ Message: message, Code: 0, Type: 'error' }))
    },
    cut: () => void response.destroy(),
  }
}
