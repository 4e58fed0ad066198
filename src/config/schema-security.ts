import { type Parsed, refused, taken } from '#src/config/parsed.ts'
import { parseSwarmKey } from '#src/config/swarm-key.ts'
import { one, variable } from '#src/config/variable.ts'

/** How libp2p connections are secured. */
export type SecurityProtocol = 'noise' | 'tls'

const protocols: readonly SecurityProtocol[] = ['noise', 'tls']

/** Returns the protocols in the order in which they are written. */
export function parseSecurity(text: string): Parsed<readonly SecurityProtocol[]> {
  const words = text.split(',').map((word) => word.trim().toLowerCase())
  const named = words.flatMap((word) => protocols.filter((protocol) => protocol === word))
  return named.length === words.length && new Set(named).size === named.length
    ? taken(named)
    : refused('is none of noise, tls, noise,tls and tls,noise')
}

const swarmKeyAllowed =
  'a swarm.key: /key/swarm/psk/1.0.0/, /base16/ (or /base64/, /bin/) and 32 bytes, on a line each or with spaces between'
const swarmKeyExample = '/key/swarm/psk/1.0.0/ /base16/ …'

const allowed = 'noise, tls, or both with a comma between them'

/** How connections are secured. */
export const securityVariables = {
  security: variable({
    name: 'KITSUNE_SECURITY',
    section: 'Addresses',
    description:
      'What secures the libp2p connections of clients over TCP and WebSockets; which of several is the choice of the client. js-ipfs and Helia in browsers speak Noise only.',
    allowed,
    default: 'noise,tls',
    example: 'noise',
    schema: one(parseSecurity),
  }),
  backSecurity: variable({
    name: 'KITSUNE_BACK_SECURITY',
    section: 'Backends',
    description:
      'What secures the libp2p connections to backends, in the order in which it is offered to them. TLS is the cheaper one per byte.',
    allowed,
    default: 'tls,noise',
    example: 'noise',
    schema: one(parseSecurity),
  }),
  swarmKey: variable({
    name: 'KITSUNE_SWARM_KEY',
    section: 'Addresses',
    description:
      'Makes the front part of a private network: only clients with the same key get in, over TCP and WebSockets. Mostly given as KITSUNE_SWARM_KEY_FILE, the path of a swarm.key as Kubo has it.',
    allowed: swarmKeyAllowed,
    default: 'none; the network is public',
    example: swarmKeyExample,
    secret: true,
    bytes: true,
    schema: one(parseSwarmKey),
  }),
  backSwarmKey: variable({
    name: 'KITSUNE_BACK_SWARM_KEY',
    section: 'Backends',
    description:
      'The key of the private network that the backends are in, which need not be that of the front. Mostly given as KITSUNE_BACK_SWARM_KEY_FILE.',
    allowed: swarmKeyAllowed,
    default: 'none; the network is public',
    example: swarmKeyExample,
    secret: true,
    bytes: true,
    schema: one(parseSwarmKey),
  }),
} as const
