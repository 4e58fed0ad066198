/** Blocks of every size, for few and many clients, on every kind of stream, over tcp and ws. */
import type { LoadCase } from '../load-case.ts'

const kibibyte = 1024
/** Every block comes from the backend: what relaying costs. */
const noCache = { KITSUNE_CACHE: '0' }
/** As js-ipfs does it: mplex, a stream per message, each block cancelled twice. */
const likeJsIpfs = { muxers: 'mplex', stream: 'per-message', cancels: 2 } as const

/** How many blocks of a size a backend holds, and how many wants a client keeps open. */
const sizes = {
  '256k': { blockBytes: 256 * kibibyte, blocks: 1024, wants: 16 },
  '1k': { blockBytes: kibibyte, blocks: 32_768, wants: 64 },
  '16k': { blockBytes: 16 * kibibyte, blocks: 8192, wants: 32 },
  '1m': { blockBytes: 1024 * kibibyte, blocks: 256, wants: 8 },
} as const

type Size = keyof typeof sizes

function titleOf(size: Size, clients: number, wants: number, more = ''): string {
  const { blockBytes } = sizes[size]
  const one = clients === 1 ? 'client' : 'clients'
  return `${blockBytes / kibibyte} KiB blocks, ${clients} ${one} × ${wants} wants${more}`
}

function blocksCase(
  size: Size,
  suffix: string,
  more: string,
  options: Partial<LoadCase> & { clients?: number; wants?: number; count?: number } = {},
): LoadCase {
  const { clients = 8, wants = sizes[size].wants, load, ...rest } = options
  return {
    name: `${size}${suffix}`,
    title: titleOf(size, clients, wants, more),
    // CPU per byte is what counts for large blocks, CPU per block for small ones.
    unit: size === '1k' || size === '16k' ? 'blocks' : 'MiB',
    groups: [],
    env: noCache,
    ...rest,
    load: { ...sizes[size], wants, clients, sendDontHave: true, ...load },
  }
}

export const blockLoads: readonly LoadCase[] = [
  blocksCase('256k', '', ', no cache', { groups: ['must', 'sizes', 'clients', 'ci'] }),
  blocksCase('1k', '', ', no cache', { groups: ['must', 'sizes', 'clients', 'ci'] }),
  blocksCase('16k', '', ', no cache', { groups: ['sizes'] }),
  blocksCase('1m', '', ', no cache', { groups: ['sizes'] }),
  blocksCase('256k', '-cache', ', default cache, half of them fit', {
    groups: ['cache'],
    env: {},
    load: { ...sizes['256k'], blocks: 2048 },
  }),
  blocksCase('256k', '-1-client', ', no cache', { groups: ['clients'], clients: 1, wants: 32 }),
  blocksCase('256k', '-64-clients', ', no cache', { groups: ['clients'], clients: 64 }),
  blocksCase('256k', '-500-clients', ', no cache', {
    groups: ['clients'],
    clients: 500,
    wants: 4,
    load: { ...sizes['256k'], blocks: 2000 },
  }),
  blocksCase('1k', '-1-client', ', no cache', { groups: ['clients'], clients: 1, wants: 512 }),
  blocksCase('1k', '-500-clients', ', no cache', { groups: ['clients'], clients: 500 }),
  blocksCase('256k', '-gateway', ', no cache, ;gateway=', { groups: ['gateway'], gateway: true }),
  blocksCase('1k', '-gateway', ', no cache, ;gateway=', { groups: ['gateway'], gateway: true }),
  blocksCase('1m', '-gateway', ', no cache, ;gateway=', { groups: ['gateway'], gateway: true }),
  blocksCase('256k', '-js-ipfs', ', mplex, a stream per message', {
    groups: ['streams', 'ci'],
    load: { ...sizes['256k'], ...likeJsIpfs },
  }),
  blocksCase('1k', '-js-ipfs', ', mplex, a stream per message', {
    groups: ['streams'],
    load: { ...sizes['1k'], ...likeJsIpfs },
  }),
  blocksCase('256k', '-ws', ' over ws', { groups: ['streams'], over: 'ws' }),
  blocksCase('1k', '-ws', ' over ws', { groups: ['streams'], over: 'ws' }),
]
