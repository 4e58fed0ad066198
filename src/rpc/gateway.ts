/**
 * Blocks from a backend's gateway (https://specs.ipfs.tech/http-gateways/trustless-gateway/), if it has them: it must not
 * look for them elsewhere, which is what `only-if-cached` says; boxo compares that header as a whole. A block is asked
 * for by its multihash under the codec raw, whatever codec a client named: stores go by the multihash, and a gateway
 * has nothing to decode then. Handed over unverified. Memory: the block, at most `maxBlockBytes`.
 */
import { base32 } from 'multiformats/bases/base32'
import { maxBlockBytes } from '#src/bitswap/protocol.ts'
import type { GatewayResult, ReadByGateway } from '#src/relay/ports.ts'
import { bareUrl } from '#src/rpc/answers.ts'
import { type BoundedAnswer, boundedFetch, type Fetch } from '#src/rpc/bounded-fetch.ts'
import { writeKey } from '#src/util/bytes.ts'
import { describeError } from '#src/util/errors.ts'

export interface GatewayReadOptions {
  /** For tests. Default: the runtime's. */
  readonly fetch?: Fetch
}

const headers = {
  accept: 'application/vnd.ipld.raw',
  'cache-control': 'only-if-cached',
  // Blocks do not get smaller, and an announced length is that of the block.
  'accept-encoding': 'identity',
}
/** The relay ends a request long before; this ends one of a relay that stands still. */
const timeoutMs = 10_000
/** Not there (Kubo: 412), unknown, or on the denylist of that node. */
const absences: ReadonlySet<number> = new Set([404, 410, 412, 451])

/** Returns how blocks are read from the gateway at `url`: its origin and base path. */
export function readByGateway(url: string, options: GatewayReadOptions = {}): ReadByGateway {
  const request = options.fetch ?? ((url, init) => fetch(url, init))
  const base = `${bareUrl(url)}/ipfs/`
  return (multihash, done) => {
    const abandoned = new AbortController()
    boundedFetch(request, {
      url: `${base}${rawCid(multihash)}?format=raw`,
      method: 'GET',
      headers,
      timeoutMs,
      maxBytes: maxBlockBytes,
      signal: abandoned.signal,
    }).then((answer) => {
      if (!abandoned.signal.aborted) done(judge(answer))
    })
    return () => abandoned.abort()
  }
}

function judge(answer: BoundedAnswer): GatewayResult {
  if (answer.kind === 'unreachable') {
    return { kind: 'failed', fault: 'unreachable', reason: describeError(answer.cause) }
  }
  if (answer.kind === 'too-big') return refused('it answered with more than a block')
  if (answer.kind !== 'answer') return { kind: 'failed', fault: 'unreachable', reason: 'it did not answer' }
  const { status, bytes } = answer
  if (status === 200) return { kind: 'found', bytes }
  if (absences.has(status)) return { kind: 'absent' }
  if (status >= 300 && status < 400) {
    // Kubo sends `localhost` on to a name of its own for each CID, and an IP address never.
    return refused(`it redirects (status ${status}): name it by IP address, or by where it redirects to`)
  }
  return refused(`it answered with status ${status}`)
}

function refused(reason: string): GatewayResult {
  return { kind: 'failed', fault: 'refused', reason }
}

/** Returns the CIDv1 of the codec raw, in base32. */
function rawCid(multihash: string): string {
  const cid = new Uint8Array(2 + multihash.length)
  cid.set([1, 0x55])
  writeKey(cid, 2, multihash)
  return base32.encode(cid)
}
