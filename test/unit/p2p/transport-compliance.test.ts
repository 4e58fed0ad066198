import { afterAll, beforeAll } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { quic } from '@chainsafe/libp2p-quic'
import { tcp } from '@libp2p/tcp'
import { webSockets } from '@libp2p/websockets'
import { quickTcp } from '#src/p2p/tcp/tcp.ts'
import { Certificates } from '#src/p2p/web/certificates.ts'
import { createLog } from '#src/telemetry/log.ts'
import { makeAuthority, writeCertificate } from '#test/support/certificates.ts'
import { webTransportClient } from '#test/support/web-transport-client.ts'
import { testDoor } from './door-compliance.ts'

let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kitsune-doors-'))
  await writeCertificate(directory, 'web', await (await makeAuthority()).issue(['127.0.0.1']))
})
afterAll(() => rm(directory, { recursive: true, force: true }))

testDoor('tcp', '/ip4/127.0.0.1/tcp/0', tcp())
// As lanes dial.
testDoor('tcp', '/ip4/127.0.0.1/tcp/0', quickTcp({}))
testDoor('ws', '/ip4/127.0.0.1/tcp/0/ws', webSockets())
testDoor('wss', '/ip4/127.0.0.1/tcp/0/tls/ws', trusting(webSockets()), () => {
  const log = createLog({ level: 'silent', format: 'json', region: 'test', version: 'test' })
  const paths = { certFile: join(directory, 'web.crt'), keyFile: join(directory, 'web.key') }
  return { certificates: new Certificates([paths], log) }
})
testDoor('quic-v1', '/ip4/127.0.0.1/udp/0/quic-v1', quic())
// Once in some fifty bulk streams quiche forgets the end of one, on either side: see "Learned on the way".
testDoor(
  'webtransport',
  '/ip4/127.0.0.1/udp/0/quic-v1/webtransport',
  await webTransportClient(),
  () => ({ keeping: { dataDir: directory, warn() {} } }),
  2,
)

/** The library has no way to trust a certificate of one's own. */
function trusting(create: ReturnType<typeof webSockets>): ReturnType<typeof webSockets> {
  return (components) => {
    const transport = create(components)
    const dial = transport.dial.bind(transport)
    transport.dial = (address, options) => {
      const { WebSocket } = globalThis
      class Trusting extends WebSocket {
        constructor(url: string | URL) {
          super(url, { tls: { rejectUnauthorized: false } } as never)
        }
      }
      globalThis.WebSocket = Trusting
      // The socket is made before anything is waited for.
      const dialled = dial(address, options)
      globalThis.WebSocket = WebSocket
      return dialled
    }
    return transport
  }
}
