/**
 * Ready-made configurations of clients, from the addresses of an edge. Pure.
 */

/** What a snippet is made from. */
export interface SnippetFacts {
  /** Each with `/p2p/…`; TLS ports as `/wss`. */
  readonly addresses: readonly string[]
  /** The edge serves `refs`. */
  readonly preload: boolean
  /** The edge answers what clients ask a delegate. */
  readonly delegates: boolean
}

export const snippetKinds = ['js-ipfs', 'helia'] as const
export type SnippetKind = (typeof snippetKinds)[number]

/** Returns JavaScript to paste. */
export function snippet(kind: SnippetKind, facts: SnippetFacts): string {
  return kind === 'js-ipfs' ? jsIpfs(facts) : helia(facts)
}

/**
 * js-ipfs dials TCP and WebSocket only, in a browser WebSocket alone; of a TLS port it understands `/wss`. Preload nodes and
 * delegates are asked by HTTP, on the same ports as WebSocket.
 */
function jsIpfs({ addresses, preload, delegates }: SnippetFacts): string {
  const dialled = addresses.filter((address) => /\/tcp\/\d+(\/wss|\/ws)?\/p2p\/[^/]+$/.test(address))
  const http = dialled.flatMap((address) => {
    const [, place, kind] = /^(\/.*\/tcp\/\d+)\/(wss?)\/p2p\//.exec(address) ?? []
    return place === undefined ? [] : [`${place}/${kind === 'wss' ? 'https' : 'http'}`]
  })
  const options = {
    config: {
      ...(delegates && http.length > 0 && { Addresses: { Delegates: http } }),
      Bootstrap: dialled,
    },
    preload: preload && http.length > 0 ? { enabled: true, addresses: http } : { enabled: false },
  }
  return `const ipfs = await IPFS.create(${JSON.stringify(options, undefined, 2)})`
}

/** How Helia dials what: a test of the address, the package, and what it exports. */
const transports: readonly (readonly [RegExp, string, string])[] = [
  [/\/tcp\/\d+\/wss?\//, '@libp2p/websockets', 'webSockets'],
  [/\/webrtc-direct\//, '@libp2p/webrtc', 'webRTCDirect'],
  [/\/webtransport\//, '@libp2p/webtransport', 'webTransport'],
  [/\/tcp\/\d+\/p2p\//, '@libp2p/tcp', 'tcp'],
]

/** Helia 7. A browser has no TCP: an edge with another door is dialled by that one, there and on servers. */
function helia({ addresses }: SnippetFacts): string {
  const used = transports.filter(([pattern]) => addresses.some((address) => pattern.test(address)))
  const chosen = used.length > 1 ? used.filter(([, , name]) => name !== 'tcp') : used
  const dialled = addresses.filter((address) => chosen.some(([pattern]) => pattern.test(address)))
  return [
    `import { withBitswap } from '@helia/bitswap'`,
    `import { withLibp2pLight } from '@helia/libp2p'`,
    `import { identify } from '@libp2p/identify'`,
    `import { noise } from '@libp2p/noise'`,
    ...chosen.map(([, from, name]) => `import { ${name} } from '${from}'`),
    `import { yamux } from '@libp2p/yamux'`,
    `import { multiaddr } from '@multiformats/multiaddr'`,
    `import { createHeliaLight } from 'helia'`,
    '',
    `const node0 = ${JSON.stringify(dialled, undefined, 2)}`,
    '',
    'const helia = withBitswap(withLibp2pLight(createHeliaLight(), {',
    '  addresses: { listen: [] },',
    `  transports: [${chosen.map(([, , name]) => `${name}()`).join(', ')}],`,
    '  connectionEncrypters: [noise()],',
    '  streamMuxers: [yamux()],',
    '  services: { identify: identify() }',
    '}))',
    'await helia.start()',
    'await helia.libp2p.dial(node0.map((address) => multiaddr(address)))',
  ].join('\n')
}
