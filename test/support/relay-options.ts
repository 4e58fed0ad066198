import type { RelayOptions } from '#src/relay/relay.ts'

/** Limits of preload that no test runs into by chance. */
export const roomyPreload: RelayOptions['preload'] = {
  waitMs: 60_000,
  ageMs: 3_600_000,
  replicas: 1,
  callsPerMinute: 600,
  callsPerAddress: 64,
  callsTotal: 1024,
  blocks: 50_000,
  blocksPerAddress: 100_000,
  blocksTotal: 500_000,
  bytes: 2 ** 30,
  bytesPerAddress: 2 ** 32,
  bytesTotal: 2 ** 36,
  depth: 256,
  bufferBytes: 2 ** 26,
}
