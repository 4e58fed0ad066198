/**
 * One command to a backend's RPC whose whole answer is wanted, bounded in time and size. Memory: at most
 * `maxBytes`, or what an error needs.
 */
import {
  bareUrl,
  judge,
  maxErrorBytes,
  type Outcome,
  opening,
  presentable,
  type RpcTarget,
} from '#src/rpc/answers.ts'
import { boundedFetch, type Fetch } from '#src/rpc/bounded-fetch.ts'

export interface CallLimits {
  /** From the start to the last byte of the answer. */
  readonly timeoutMs: number
  /** Larger answers are given up. */
  readonly maxBytes: number
  readonly signal?: AbortSignal | undefined
}

/** Arguments in the order given; Kubo's commands take several of one name. */
export type CallQuery = readonly (readonly [name: string, value: string])[]

/** Returns the URL of a command. */
export function commandUrl(target: RpcTarget, command: string, query: CallQuery): string {
  const search = new URLSearchParams(query.map(([name, value]) => [name, value])).toString()
  return `${bareUrl(target.url)}/api/v0/${command}${search === '' ? '' : `?${search}`}`
}

/** Calls `command` and returns what came of it; the detail of a fault is free of secrets. Never throws. */
export async function callRpc(
  fetch: Fetch,
  target: RpcTarget,
  command: string,
  query: CallQuery,
  { timeoutMs, maxBytes, signal }: CallLimits,
): Promise<Outcome> {
  const answer = await boundedFetch(fetch, {
    url: commandUrl(target, command, query),
    headers: opening(target),
    timeoutMs,
    maxBytes: Math.max(maxBytes, maxErrorBytes),
    ...(signal === undefined ? {} : { signal }),
  })
  const outcome = judge(answer)
  if (outcome.kind === 'ok') {
    return outcome.bytes.length <= maxBytes ? outcome : { kind: 'fault', fault: 'too-big' }
  }
  if (outcome.detail === undefined) return outcome
  return { ...outcome, detail: presentable(outcome.detail, target) }
}
