/**
 * Tells a backend by its RPC to keep what it has fetched: a refs fetches, and Kubo's garbage collection takes what is
 * neither pinned nor in MFS. Whatever is in the way is reported and no more: what was fetched stays fetched.
 */
import { CID } from 'multiformats/cid'
import type { KeepByRpc } from '#src/relay/preload/refs.ts'
import { faults, type Outcome, type RpcTarget } from '#src/rpc/answers.ts'
import type { Fetch } from '#src/rpc/bounded-fetch.ts'
import { type CallQuery, callRpc } from '#src/rpc/call.ts'
import { fromKey } from '#src/util/bytes.ts'

/**
 * `true`: a recursive pin. `mfs`: an entry `/kitsune/<cid>` among the backend's files, where a person sees it in the
 * Web UI and can delete it; for UnixFS only.
 */
export type KeepMode = 'true' | 'mfs'

export interface KeepByRpcOptions {
  /** From the start to the last answer. Default 5 min: everything is on the backend already, but it walks the DAG. */
  readonly timeoutMs?: number
  /** For tests. Default: the runtime's. */
  readonly fetch?: Fetch
}

const directory = '/kitsune'
/** Kubo answers with the CID, or nothing. */
const maxAnswerBytes = 4 * 1024

/** Returns how a backend is told to keep a DAG; it takes seconds, and is worth doing once per DAG. */
export function keepByRpc(target: RpcTarget, mode: KeepMode, options: KeepByRpcOptions = {}): KeepByRpc {
  const { timeoutMs = 5 * 60_000, fetch: fetcher = (url, init) => fetch(url, init) } = options
  const call = (command: string, query: CallQuery, signal: AbortSignal) =>
    callRpc(fetcher, target, command, query, { timeoutMs, maxBytes: maxAnswerBytes, signal })
  const keep = mode === 'true' ? pin : copyToFiles
  return (root, done) => {
    const abandoned = new AbortController()
    keep(CID.decode(fromKey(root.cid)).toString(), (command, query) => call(command, query, abandoned.signal))
      .catch((error: unknown) => String(error))
      .then((failure) => {
        if (!abandoned.signal.aborted) done(failure)
      })
    return () => abandoned.abort()
  }
}

type Call = (command: string, query: CallQuery) => Promise<Outcome>

async function pin(cid: string, call: Call): Promise<string | undefined> {
  const query: CallQuery = [
    ['arg', cid],
    ['recursive', 'true'],
  ]
  return failureOf(await call('pin/add', query))
}

async function copyToFiles(cid: string, call: Call): Promise<string | undefined> {
  const made = await call('files/mkdir', [
    ['arg', directory],
    ['parents', 'true'],
  ])
  if (made.kind === 'fault') return failureOf(made)
  const copied = await call('files/cp', [
    ['arg', `/ipfs/${cid}`],
    ['arg', `${directory}/${cid}`],
  ])
  // The name is the CID: an entry of that name is that content.
  const isThere = copied.kind === 'fault' && /already has entry by that name/i.test(copied.detail ?? '')
  return isThere ? undefined : failureOf(copied)
}

function failureOf(outcome: Outcome): string | undefined {
  if (outcome.kind === 'ok') return undefined
  return outcome.detail === undefined ? faults[outcome.fault] : `${faults[outcome.fault]}: ${outcome.detail}`
}
