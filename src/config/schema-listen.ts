import { parseListen, parseOptionalDoor } from '#src/config/listen.ts'
import { list, variable } from '#src/config/variable.ts'

/** Which doors the front has. */
export const listenVariables = {
  listen: variable({
    name: 'KITSUNE_LISTEN',
    section: 'Addresses',
    description:
      'Where clients are accepted, comma-separated multiaddrs. Port 0 picks a free one. A ? behind an address: where it cannot be opened the edge starts without it, with a warning.',
    allowed:
      '/ip4|ip6/…/tcp/… (alone, or with /ws or /tls/ws), /ip4|ip6/…/udp/… with /quic-v1, /webrtc-direct or /quic-v1/webtransport; comma-separated',
    default: '/ip4/0.0.0.0/tcp/4001,/ip4/0.0.0.0/tcp/4002/ws and their /ip6/:: twins where IPv6 exists',
    example: '/ip4/0.0.0.0/tcp/4001,/ip4/0.0.0.0/tcp/443/tls/ws,/ip4/0.0.0.0/udp/4001/quic-v1?',
    schema: list(parseListen),
  }),
  listenOptional: variable({
    name: 'KITSUNE_LISTEN_OPTIONAL',
    section: 'Addresses',
    description:
      'Doors without which the edge may start: all, those of a kind, or addresses as in KITSUNE_LISTEN, which need not stand there as well.',
    allowed: 'all, tcp, ws, wss, quic-v1, webrtc-direct, webtransport, or multiaddrs, comma-separated',
    default: 'none; an edge that cannot open a door does not start',
    example: 'quic-v1,webtransport',
    schema: list(parseOptionalDoor),
  }),
} as const
