import * as values from '#src/config/values.ts'
import { one, variable, within } from '#src/config/variable.ts'

const { formatDuration, formatSize, parseDuration, parseSize } = values
const section = 'Preload'
const hourMs = 3_600_000
const mebibyte = 1024 ** 2

const duration = (min: number, max: number) => within(parseDuration, { min, max }, formatDuration)
const size = within(parseSize, { min: 2 * mebibyte }, formatSize)
const count = (min: number, max: number) => one((text) => values.parseCount(text, min, max))
const sizes = { allowed: 'a size of at least 2MiB (the largest block)', schema: size }
const blocks = { allowed: 'a whole number from 1 to 100000000', schema: count(1, 100_000_000) }
const calls = { allowed: 'a whole number from 1 to 100000', schema: count(1, 100_000) }

/** What browsers add is fetched from them by a backend: how much of that there may be. */
export const preloadVariables = {
  preload: variable({
    section,
    name: 'KITSUNE_PRELOAD',
    description:
      'Whether /api/v0/refs is served on the WebSocket ports: a backend then fetches from its caller, over Bitswap, what the caller names.',
    allowed: 'on (needs a backend with an RPC) or off',
    default: 'on where a backend has an RPC, else off',
    example: 'off',
    schema: one((text) => values.parseChoice(text, ['on', 'off'])),
  }),
  replicas: variable({
    section,
    name: 'KITSUNE_REPLICAS',
    description:
      'Backends that are to have what was preloaded. The caller waits for the first; the others copy it afterwards.',
    allowed: 'a whole number from 1 to 16',
    default: '1',
    example: '2',
    schema: count(1, 16),
  }),
  preloadWait: variable({
    section,
    name: 'KITSUNE_PRELOAD_WAIT',
    description:
      'How long a refs goes on while nothing comes of it: its caller has not connected yet (js-ipfs takes up to 10 s), is gone, or sends nothing.',
    allowed: 'a duration from 100ms to 1h',
    default: '1m',
    example: '30s',
    schema: duration(100, hourMs),
  }),
  preloadTimeout: variable({
    section,
    name: 'KITSUNE_PRELOAD_TIMEOUT',
    description: 'Longest that one refs may take, its copies included.',
    allowed: 'a duration from 1s to 24h',
    default: '1h',
    example: '10m',
    schema: duration(1_000, 24 * hourMs),
  }),
  preloadRate: variable({
    section,
    name: 'KITSUNE_PRELOAD_RATE',
    description: 'Refs that one address may begin per minute; more are answered 429.',
    allowed: 'a number per minute such as 600/min',
    default: '600/min',
    example: '60/min',
    schema: one(values.parseBudget),
  }),
  preloadCallsPerAddress: variable({
    section,
    name: 'KITSUNE_PRELOAD_CALLS_PER_ADDRESS',
    description: 'Refs of one address under way at once; more are answered 429. A browser has up to 4.',
    default: '64',
    example: '16',
    ...calls,
  }),
  preloadCallsTotal: variable({
    section,
    name: 'KITSUNE_PRELOAD_CALLS_TOTAL',
    description: 'Refs under way at once in all. One address may have half of what is left, at least 4.',
    default: '1024',
    example: '4096',
    ...calls,
  }),
  preloadBytes: variable({
    section,
    name: 'KITSUNE_PRELOAD_BYTES',
    description: 'Bytes pulled from clients for one refs; what is larger fails.',
    default: '1GiB',
    example: '100MiB',
    ...sizes,
  }),
  preloadBytesPerAddress: variable({
    section,
    name: 'KITSUNE_PRELOAD_BYTES_PER_ADDRESS',
    description: 'The same for all refs of one address that are under way.',
    default: '4GiB',
    example: '1GiB',
    ...sizes,
  }),
  preloadBytesTotal: variable({
    section,
    name: 'KITSUNE_PRELOAD_BYTES_TOTAL',
    description: 'The same for all refs that are under way.',
    default: '64GiB',
    example: '512GiB',
    ...sizes,
  }),
  preloadBlocks: variable({
    section,
    name: 'KITSUNE_PRELOAD_BLOCKS',
    description: 'Blocks that one refs may name: its root and all that is linked from what came.',
    default: '50000',
    example: '10000',
    ...blocks,
  }),
  preloadBlocksPerAddress: variable({
    section,
    name: 'KITSUNE_PRELOAD_BLOCKS_PER_ADDRESS',
    description: 'The same for all refs of one address that are under way.',
    default: '100000',
    example: '20000',
    ...blocks,
  }),
  preloadBlocksTotal: variable({
    section,
    name: 'KITSUNE_PRELOAD_BLOCKS_TOTAL',
    description: 'The same for all refs that are under way; each takes some 200 bytes of memory.',
    default: '500000',
    example: '2000000',
    ...blocks,
  }),
  preloadDepth: variable({
    section,
    name: 'KITSUNE_PRELOAD_DEPTH',
    description: 'How far below its root a refs may reach.',
    allowed: 'a whole number from 1 to 1000000',
    default: '256',
    example: '64',
    schema: count(1, 1_000_000),
  }),
  preloadBuffer: variable({
    section,
    name: 'KITSUNE_PRELOAD_BUFFER',
    description:
      'Block bytes on their way from clients to backends: asked for, or waiting for a slow backend.',
    default: '64MiB',
    example: '256MiB',
    ...sizes,
  }),
} as const
