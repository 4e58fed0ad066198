/**
 * A gateway beside a backend, which answers as a test says: for those that lie, stall or fail. It has seeded raw blocks.
 */
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { seededBlock, seededCid } from '#test/support/seeded-content.ts'

/** What to do with a request for a block; `block` is what an honest gateway would send. */
export type FalseAnswer = (response: ServerResponse, block: Uint8Array) => void

export interface FalseGateway {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string
  /** Requests so far. */
  readonly requests: number
  stop(): Promise<void>
}

export async function startFalseGateway(
  content: { readonly blocks: number; readonly blockBytes: number; readonly blockSeed?: number },
  answer: FalseAnswer,
): Promise<FalseGateway> {
  const { blocks, blockBytes, blockSeed = 1 } = content
  const indexes = new Map<string, number>()
  for (let index = 0; index < blocks; index++) {
    indexes.set(`/ipfs/${seededCid(blockSeed, index, blockBytes)}?format=raw`, index)
  }
  let requests = 0
  const server = createServer((request, response) => {
    requests++
    const index = indexes.get(request.url ?? '')
    if (index === undefined) response.writeHead(412).end()
    else answer(response, seededBlock(blockSeed, index, blockBytes))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get requests() {
      return requests
    },
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
  }
}
