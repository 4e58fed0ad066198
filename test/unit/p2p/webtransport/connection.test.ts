import { expect, test } from 'bun:test'
import { defaultLogger } from '@libp2p/logger'
import { multiaddr } from '@multiformats/multiaddr'
import { WebTransportConnection } from '#src/p2p/webtransport/connection.ts'
import type { H3Session } from '#src/p2p/webtransport/h3-session.ts'

test('streams that come and go before the handshake is over leave nothing', () => {
  const nothing = (): void => {}
  const session = { tell: nothing, reset: nothing, forget: nothing, pause: nothing, close: nothing }
  const connection = new WebTransportConnection({
    session: session as unknown as H3Session,
    maxStreams: 10,
    remoteAddr: multiaddr('/ip4/203.0.113.7/udp/4711/quic-v1/webtransport'),
    direction: 'inbound',
    log: defaultLogger().forComponent('test'),
  })
  connection.stream(0)
  const stays = connection.stream(4)
  for (let id = 8; id < 8_000; id += 4) connection.stream(id).wasReset()
  const muxer = { onRemoteStream: nothing } as never
  expect(connection.muxedBy(muxer)).toEqual([stays])
})
