/**
 * What a page does at one door, told step by step: connect to the edge, fetch a file, add another, have it kept.
 * Each visit is a Helia node of its own that has the transport of that door and no other: nothing can come by another way.
 */

import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { withBitswap } from '@helia/bitswap'
import { withLibp2pLight } from '@helia/libp2p'
import { unixfs } from '@helia/unixfs'
import { identify } from '@libp2p/identify'
import { webRTCDirect } from '@libp2p/webrtc'
import { webSockets } from '@libp2p/websockets'
import { webTransport } from '@libp2p/webtransport'
import { multiaddr } from '@multiformats/multiaddr'
import { sha256 } from '@noble/hashes/sha2.js'
import { createHeliaLight } from 'helia'
import { CID } from 'multiformats/cid'

const transports = {
  ws: webSockets,
  wss: webSockets,
  'webrtc-direct': webRTCDirect,
  webtransport: webTransport,
} as const

/** The doors that browsers can use. */
export type BrowserDoor = keyof typeof transports

/** Where to go, and what to do there. */
export interface VisitPlan {
  readonly door: BrowserDoor
  /** A multiaddr with `/p2p/…`, and with `/certhash/…` where the door has one. */
  readonly address: string
  /** `http(s)://HOST:PORT` of the web port: it is asked to keep what is added. */
  readonly api: string
  /** A file that a backend has, and what its content must hash to. */
  readonly file: { readonly cid: string; readonly bytes: number; readonly sha256: string }
  /** How many random bytes to add. */
  readonly addBytes: number
}

/** What has been done so far. */
export type VisitStep =
  | { readonly kind: 'connected'; readonly peer: string; readonly self: string; readonly ms: number }
  | { readonly kind: 'fetching'; readonly bytes: number; readonly ms: number }
  | { readonly kind: 'fetched'; readonly bytes: number; readonly ms: number; readonly sha256: string }
  | {
      readonly kind: 'added'
      readonly cid: string
      readonly bytes: number
      readonly sha256: string
      readonly blocks: number
    }
  | { readonly kind: 'keeping'; readonly blocks: number; readonly ms: number }
  | { readonly kind: 'kept'; readonly blocks: number; readonly ms: number }

const connectWithinMs = 30_000
const transferWithinMs = 300_000

/**
 * Goes there, and yields each step; throws with what went wrong, wrong bytes included. The node stays for as long as the
 * page does, unless something went wrong.
 */
export async function* visit(plan: VisitPlan): AsyncGenerator<VisitStep> {
  const helia = withBitswap(
    withLibp2pLight(createHeliaLight(), {
      addresses: { listen: [] },
      transports: [transports[plan.door]()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
      // A page dials public names only, unless it is told that this is what is wanted.
      connectionGater: { denyDialMultiaddr: () => false },
      services: { identify: identify() },
    }),
  )
  await helia.start()
  try {
    const sinceDial = stopwatch()
    const signal = AbortSignal.timeout(connectWithinMs)
    const { remotePeer } = await helia.libp2p.dial(multiaddr(plan.address), { signal })
    const self = helia.libp2p.peerId.toString()
    yield { kind: 'connected', peer: remotePeer.toString(), self, ms: sinceDial() }
    const files = unixfs(helia)
    yield* fetchFile(files, plan.file)
    const added = await addRandom(files, plan.addBytes)
    yield added
    yield* keep(plan.api, added)
  } catch (error) {
    await helia.stop()
    throw error
  }
}

type Files = ReturnType<typeof unixfs>

async function* fetchFile(files: Files, file: VisitPlan['file']): AsyncGenerator<VisitStep> {
  const passed = stopwatch()
  const hash = sha256.create()
  let bytes = 0
  const signal = AbortSignal.timeout(transferWithinMs)
  for await (const piece of files.cat(CID.parse(file.cid), { signal })) {
    hash.update(piece)
    bytes += piece.length
    yield { kind: 'fetching', bytes, ms: passed() }
  }
  const found = hex(hash.digest())
  if (found !== file.sha256) throw new Error(`the file hashes to ${found}, not to ${file.sha256}`)
  yield { kind: 'fetched', bytes, ms: passed(), sha256: found }
}

async function addRandom(files: Files, bytes: number): Promise<VisitStep & { readonly kind: 'added' }> {
  const content = new Uint8Array(bytes)
  // The browser gives no more than this at once.
  for (let at = 0; at < bytes; at += 65_536) crypto.getRandomValues(content.subarray(at, at + 65_536))
  const cid = await files.addBytes(content)
  const { blocks } = await files.stat(cid, { extended: true })
  return { kind: 'added', cid: cid.toString(), bytes, sha256: hex(sha256(content)), blocks: Number(blocks) }
}

/** Asks that a DAG be kept; the pool then has it from here, by the connection that is open. */
async function* keep(
  api: string,
  { cid, blocks }: { cid: string; blocks: number },
): AsyncGenerator<VisitStep> {
  const passed = stopwatch()
  const signal = AbortSignal.timeout(transferWithinMs)
  const response = await fetch(`${api}/api/v0/refs?r=true&arg=${cid}`, { method: 'POST', signal })
  if (!response.ok) throw new Error(`refs answered ${response.status}: ${await response.text()}`)
  // The root is there when the first line is: lines are of the blocks below it.
  let kept = 1
  for await (const { Ref, Err } of linesOf(response)) {
    if (Err) throw new Error(`refs of ${cid} ended after ${Ref}: ${Err}`)
    kept++
    yield { kind: 'keeping', blocks: kept, ms: passed() }
  }
  if (kept < blocks) throw new Error(`${kept} of ${blocks} blocks were kept`)
  yield { kind: 'kept', blocks: kept, ms: passed() }
}

async function* linesOf(response: Response): AsyncGenerator<{ Ref: string; Err: string }> {
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) {
    const lines = (rest + value).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) if (line !== '') yield JSON.parse(line)
  }
}

function stopwatch(): () => number {
  const began = performance.now()
  return () => performance.now() - began
}

function hex(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')
}
