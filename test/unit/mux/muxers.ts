import type { YamuxOptions } from '#src/mux/yamux.ts'

export const kibibyte = 1024
export const mebibyte = 1024 * kibibyte

/** As the front has it. */
export const muxerOptions: YamuxOptions = {
  maxStreams: 1_024,
  maxEarlyStreams: 256,
  firstWindow: 256 * kibibyte,
  largestWindow: 2 * mebibyte,
  maxGrowthBytes: 14 * mebibyte,
  maxUnreadBytes: 16 * mebibyte,
}
