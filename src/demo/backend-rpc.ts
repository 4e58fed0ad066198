import { Hono } from 'hono'
import { stream } from 'hono/streaming'
import type { IpfsNode } from '#src/demo/ipfs-node.ts'
import { serveHttp } from '#src/http/serve.ts'

/**
 * What an edge asks of a backend by RPC, answered by an embedded node in the shape of Kubo: `id`, so that the edge
 * learns where to dial, and `refs`, by which a backend fetches a DAG from whoever has it.
 */

export interface BackendRpc {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string
  stop(): Promise<void>
}

/** Puts the RPC of a node on a free port of the loopback. */
export async function serveBackendRpc(node: IpfsNode): Promise<BackendRpc> {
  const app = new Hono()
  app.post('/api/v0/id', (context) =>
    context.json({ ID: node.peerId, Addresses: [node.address], AgentVersion: 'helia', Protocols: [] }),
  )
  app.post('/api/v0/refs', (context) => {
    context.header('content-type', 'application/json')
    return stream(context, async (answer) => {
      const given = new AbortController()
      answer.onAbort(() => given.abort())
      for await (const ref of node.refs(context.req.query('arg') ?? '', given.signal)) {
        await answer.write(`${JSON.stringify({ Ref: ref, Err: '' })}\n`)
      }
    })
  })
  const served = await serveHttp(app.fetch, { host: '127.0.0.1', port: 0 })
  return { url: `http://127.0.0.1:${served.address.port}`, stop: () => served.stop() }
}
