/**
 * An app as it should be: it adds something, has it preloaded, and sees for itself that a backend holds it. While a
 * test attacks the edge, it says whether honest callers are still served.
 */
import { missingAt } from '#test/support/backend-holdings.ts'
import { type Dag, seededTree } from '#test/support/dag.ts'
import type { EdgeProcess } from '#test/support/edge.ts'
import { type RawBrowser, startRawBrowser } from '#test/support/raw-browser.ts'
import { type RefsAnswer, refs } from '#test/support/refs-call.ts'

/** A connected app. */
export interface HonestCaller {
  readonly browser: RawBrowser
  /** Adds a DAG of its own and has it preloaded, so many times; rejects when one is not held by a backend after. */
  persists(times: number): Promise<void>
  stop(): Promise<void>
}

let seeds = 100_000

/** Connects an app from an address of its own; `rpcs` are the backends. */
export async function startHonestCaller(
  edge: EdgeProcess,
  rpcs: readonly string[],
  from = '127.0.0.99',
): Promise<HonestCaller> {
  const browser = await startRawBrowser(edge.tcp, { localAddress: from })
  return {
    browser,
    async persists(times) {
      for (let i = 0; i < times; i++) {
        const dag = seededTree(seeds++, 4, 3_000)
        browser.add(dag.blocks)
        await expectPersisted(dag, await refs({ web: edge.web, arg: `${dag.root}`, from }), rpcs)
      }
    },
    stop: () => browser.stop(),
  }
}

/** Throws unless an answer is a whole success and one of the backends holds the whole DAG. */
export async function expectPersisted(dag: Dag, answer: RefsAnswer, rpcs: readonly string[]): Promise<void> {
  const { status, ending, error } = answer
  if (status !== 200 || ending !== 'whole' || error !== undefined) {
    throw new Error(`refs of ${dag.root}: ${status} ${ending} ${error} after ${answer.ms} ms`)
  }
  const cids = dag.blocks.map(({ cid }) => cid.toString())
  const missing = await Promise.all(rpcs.map((rpc) => missingAt(rpc, cids)))
  if (missing.every(({ length }) => length > 0)) {
    throw new Error(
      `${dag.root}: ${missing.map(({ length }) => length)} of ${cids.length} blocks are missing`,
    )
  }
}
