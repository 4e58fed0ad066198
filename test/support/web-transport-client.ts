/**
 * js-libp2p's own `@libp2p/webtransport` outside of a browser: it dials by the WebTransport client of `rwebtransport`,
 * where a page has that of its browser.
 *
 * Of a session that the other side ends, the library (6.0.39) does not tell its connection: pages find out when a
 * stream cannot be opened. Here the connection is told.
 */
import type { webTransport } from '@libp2p/webtransport'
import { WebTransport, type WebTransportOptions } from 'rwebtransport'

let latest: WebTransport | undefined

class NotedWebTransport extends WebTransport {
  constructor(url: string, options?: WebTransportOptions) {
    super(url, options)
    latest = this
  }
}

/** Returns the library's transport. Asking again does nothing more. */
export async function webTransportClient(): Promise<ReturnType<typeof webTransport>> {
  Bun.plugin({
    name: 'webtransport',
    setup(build) {
      build.onLoad({ filter: /@libp2p\/webtransport\/dist\/src\/webtransport\.js$/ }, () => ({
        // As it is in the library for browsers.
        contents: 'export default globalThis.WebTransport',
        loader: 'js',
      }))
    },
  })
  Object.assign(globalThis, { WebTransport: NotedWebTransport })
  const library = await import('@libp2p/webtransport')
  return (components) => {
    const transport = library.webTransport()(components)
    const dial = transport.dial.bind(transport)
    transport.dial = async (address, options) => {
      const dialled = dial(address, options)
      // It is made before anything is waited for.
      const session = latest
      const connection = await dialled
      const end = (): void => connection.abort(new Error('the session has ended'))
      session?.closed.then(end, end)
      return connection
    }
    return transport
  }
}
