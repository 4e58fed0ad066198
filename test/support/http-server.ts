import { afterEach } from 'bun:test'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** Answers a request, as a test wants it answered. */
export type Answer = (request: IncomingMessage, response: ServerResponse) => void

/** Returns a function that starts an HTTP server and tells its URL; all end after each test of the file. */
export function serveUntilAfterEach(): (answer: Answer) => Promise<string> {
  const running: Server[] = []
  afterEach(async () => {
    for (const server of running.splice(0)) {
      await new Promise((resolve) => {
        server.close(resolve)
        server.closeAllConnections()
      })
    }
  })
  return async (answer) => {
    const server = createServer(answer)
    running.push(server)
    return listen(server)
  }
}

/** Returns a URL where nobody listens any more. */
export async function urlOfNobody(): Promise<string> {
  const server = createServer()
  const url = await listen(server)
  await new Promise((resolve) => server.close(resolve))
  return url
}

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
