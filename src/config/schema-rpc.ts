import { parseRpcAllow, rpcCommands } from '#src/config/rpc-allow.ts'
import { parseChoice } from '#src/config/values.ts'
import { many, one, variable } from '#src/config/variable.ts'

/** What backends are told by their RPC on behalf of clients, besides what Bitswap needs. */
export const rpcVariables = {
  preloadPin: variable({
    name: 'KITSUNE_PRELOAD_PIN',
    section: 'Preload',
    description:
      'How a backend keeps what was preloaded: not at all (its garbage collection, if that is on, takes it some day), by a recursive pin, or as /kitsune/CID among its files (MFS), which only takes UnixFS.',
    allowed: 'false, true or mfs',
    default: 'false',
    example: 'true',
    schema: one((text) => parseChoice(text, ['false', 'true', 'mfs'] as const)),
  }),
  rpcAllow: variable({
    name: 'KITSUNE_RPC_ALLOW',
    section: 'Delegates',
    description:
      'Further RPC paths that are forwarded to a backend for anybody who asks on the WebSocket ports, comma-separated. delegates is what clients call on a delegate node; its /routing/v1 needs a backend with ;gateway=…',
    allowed: `none, delegates, or of ${rpcCommands.join(', ')}`,
    default: 'none',
    example: 'delegates,name/resolve',
    schema: many(parseRpcAllow),
  }),
} as const
