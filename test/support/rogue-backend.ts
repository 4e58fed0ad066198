/**
 * Backends that do not behave: a Bitswap host that answers each wantlist as the test says, and an RPC in front of
 * it that may answer nothing sensible at all.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Connection, PrivateKey, Stream } from '@libp2p/interface'
import type { Libp2p } from 'libp2p'
import { CID } from 'multiformats/cid'
import { joined } from '#src/util/pieces.ts'
import { startBitswapHost, writeAll } from '#test/support/bitswap-host.ts'
import { type RawMessage, rawFrame } from '#test/support/raw-message.ts'

/** One want or cancel that a lane sent. */
export interface LaneWant {
  readonly cid: CID
  readonly have: boolean
  readonly cancel: boolean
  readonly sendDontHave: boolean
}

/** How a wantlist can be answered. */
export interface Answer {
  /** Sends a message on a stream of its own, as boxo does. */
  send(message: RawMessage): Promise<void>
  /** Sends any bytes. */
  sendBytes(bytes: Uint8Array): Promise<void>
  readonly connection: Connection
}

/** A running rogue backend. */
export interface RogueBackend {
  readonly node: Libp2p
  readonly peerId: string
  /** Its swarm address with /p2p/…. */
  readonly addr: string
  /** All that its lanes sent, in order. */
  readonly wants: readonly LaneWant[]
  /** Peer IDs of the lanes that have connected. */
  readonly lanes: ReadonlySet<string>
  /** Sends any bytes to a lane, on a stream of their own. */
  sendTo(lane: Connection, bytes: Uint8Array): Promise<void>
  stop(): Promise<void>
}

/** Starts a rogue; `answer` is called with each wantlist of each lane. Default: it never says a word. */
export async function startRogueBackend(
  options: {
    readonly answer?: (wants: readonly LaneWant[], answer: Answer) => void | Promise<void>
    /** Takes each block that a lane sends. */
    readonly block?: (bytes: Uint8Array) => void
    readonly privateKey?: PrivateKey
    readonly listenPort?: number
  } = {},
): Promise<RogueBackend> {
  const wants: LaneWant[] = []
  const lanes = new Set<string>()
  const node = await startBitswapHost({
    listen: [`/ip4/127.0.0.1/tcp/${options.listenPort ?? 0}`],
    ...(options.privateKey && { privateKey: options.privateKey }),
    receive(message, connection) {
      lanes.add(connection.remotePeer.toString())
      const list = message.wants.map((want) => ({ ...want, cid: CID.decode(want.cid.slice()) }))
      wants.push(...list)
      for (const { bytes } of message.blocks) options.block?.(joined(bytes).slice())
      const sendBytes = (bytes: Uint8Array): Promise<void> => sendTo(connection, bytes)
      const answer: Answer = {
        connection,
        sendBytes,
        send: (answerMessage) => sendBytes(rawFrame(answerMessage)),
      }
      // A lane that is gone before it was answered is no fault of the rogue.
      void (async () => options.answer?.(list, answer))().catch(() => {})
    },
  })
  const addr = node.getMultiaddrs()[0]?.toString() ?? ''
  return {
    node,
    peerId: node.peerId.toString(),
    addr,
    wants,
    lanes,
    sendTo,
    stop: async () => void (await node.stop()),
  }
}

async function sendTo(lane: Connection, bytes: Uint8Array): Promise<void> {
  const stream: Stream = await lane.newStream('/ipfs/bitswap/1.2.0', { maxOutboundStreams: 4096 })
  await writeAll(stream, bytes)
  await stream.close()
}

/** What a rogue RPC does with a request. */
export type RpcBehaviour = (request: IncomingMessage, response: ServerResponse) => void

/** An RPC whose behaviour can be changed while it runs. */
export interface RogueRpc {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string
  /** Paths asked for so far. */
  readonly asked: readonly string[]
  behave(behaviour: RpcBehaviour): void
  stop(): Promise<void>
}

/** Ways in which an RPC can be wrong, and the right one: `id`. */
export const rpcBehaviours = {
  html: (_request: IncomingMessage, response: ServerResponse) => {
    response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><h1>Welcome to nginx!</h1>')
  },
  hang: () => {},
  fail: (_request: IncomingMessage, response: ServerResponse) => {
    response.writeHead(500, { 'content-type': 'application/json' }).end('{"Message":"no","Code":0}')
  },
  wrongBlock: (_request: IncomingMessage, response: ServerResponse) => {
    response.writeHead(200, { 'content-type': 'application/octet-stream' }).end('not what was asked for')
  },
  endless: (_request: IncomingMessage, response: ServerResponse) => {
    response.writeHead(200, { 'content-type': 'application/json' })
    const more = (): void => {
      while (response.writable && response.write('x'.repeat(65_536))) {}
    }
    response.on('drain', more)
    more()
  },
  id:
    (peerId: string, addresses: readonly string[]): RpcBehaviour =>
    (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ ID: peerId, PublicKey: '', Addresses: addresses, AgentVersion: 'rogue' }))
    },
} as const

/** Starts an RPC. */
export async function startRogueRpc(behaviour: RpcBehaviour): Promise<RogueRpc> {
  let current = behaviour
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(request.url ?? '')
    current(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    asked,
    behave(next) {
      current = next
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
