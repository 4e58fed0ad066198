/** A backend whose every byte a test decides: it reads a request, and then does what it is told. */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'

export interface RawBackend {
  readonly url: string
  /** The requests that came, heads and bodies as they were sent. */
  readonly requests: string[]
  /** Resolves when a connection with a request on it has been closed by the other side. */
  readonly closed: Promise<void>
  stop(): Promise<void>
}

/** Starts one; `answer` is called once per connection, when the head of a request is in. */
export async function startRawBackend(
  answer: (socket: Socket, request: string) => void,
): Promise<RawBackend> {
  const requests: string[] = []
  const sockets = new Set<Socket>()
  const closed = Promise.withResolvers<void>()
  const server: Server = createServer((socket) => {
    let text = ''
    let answered = false
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => {
      sockets.delete(socket)
      if (answered) closed.resolve()
    })
    socket.on('data', (bytes) => {
      text += bytes.toString('latin1')
      if (answered || !text.includes('\r\n\r\n')) return
      answered = true
      requests.push(text)
      answer(socket, text)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    closed: closed.promise,
    stop: async () => {
      const done = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await done
    },
  }
}

/** The head of a chunked 200 as Kubo sends it. */
export const chunkedHead =
  'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Chunked-Output: 1\r\nTrailer: X-Stream-Error\r\n' +
  'Transfer-Encoding: chunked\r\n\r\n'

/** One chunk of a body. */
export function chunk(text: string): string {
  return `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`
}

/** The last chunk, with trailers or without. */
export function lastChunk(trailers = ''): string {
  return `0\r\n${trailers}\r\n`
}

/** A whole answer that says how long it is. */
export function whole(status: string, type: string, body: string, headers = ''): string {
  return `HTTP/1.1 ${status}\r\nContent-Type: ${type}\r\n${headers}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
}

/** A line of a refs as Kubo writes it. */
export function refLine(ref: string): string {
  return `${JSON.stringify({ Ref: ref, Err: '' })}\n`
}
