import { describe, expect, test } from 'bun:test'
import { bases } from 'multiformats/basics'
import { CID } from 'multiformats/cid'
import * as digests from 'multiformats/hashes/digest'
import { knowsHash } from '#src/content/digest.ts'
import { parseRefsQuery } from '#src/http/refs-query.ts'
import { toKey } from '#src/util/bytes.ts'

const v0 = 'QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N'
const v1 = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'

const parse = (query: string) => parseRefsQuery(query, knowsHash)
const parseArg = (arg: string) => parse(`arg=${encodeURIComponent(arg)}`)

function asked(query: string) {
  const parsed = parse(query)
  if (!parsed.ok) throw new Error(parsed.reason)
  return parsed.value
}

function reason(query: string): string {
  const parsed = parse(query)
  return parsed.ok ? 'was taken' : parsed.reason
}

test('what js-ipfs sends', () => {
  expect(asked(`r=true&arg=${v1}`)).toEqual({
    query: {
      arg: v1,
      root: {
        cid: toKey(CID.parse(v1).bytes) as never,
        multihash: toKey(CID.parse(v1).multihash.bytes) as never,
        codec: 0x55,
      },
      recursive: true,
      unique: false,
      edges: false,
      maxDepth: -1,
      format: '',
    },
    timeoutMs: undefined,
  })
})

test('every option, long and short, as Kubo takes it', () => {
  const long = asked(`arg=${v0}&recursive=true&unique&max-depth=3&format=%3Csrc%3E&timeout=1m30s`)
  const short = asked(`arg=${v0}&r=1&u=T&max-depth=3&format=%3Csrc%3E&timeout=90s`)
  expect(short).toEqual(long)
  expect(long).toMatchObject({
    query: { recursive: true, unique: true, edges: false, maxDepth: 3, format: '<src>' },
    timeoutMs: 90_000,
  })
  expect(asked(`arg=${v0}&e`).query.edges).toBe(true)
  expect(asked(`arg=${v0}&e&format=%3Cdst%3E`).query).toMatchObject({ edges: true, format: '' })
})

test('a depth without recursion means nothing, and one below -1 is no limit', () => {
  expect(asked(`arg=${v0}&max-depth=3`).query.maxDepth).toBe(-1)
  expect(asked(`arg=${v0}&r&max-depth=-7`).query.maxDepth).toBe(-1)
  expect(asked(`arg=${v0}&r&max-depth=0`).query.maxDepth).toBe(0)
})

test('options that mean nothing here are ignored', () => {
  const query = `arg=${v0}&stream-channels=true&encoding=json&preload=false&preload=x&cid-base=base32`
  expect(asked(query)).toEqual(asked(`arg=${v0}`))
})

test('the same option twice is taken if it says the same', () => {
  expect(asked(`arg=${v0}&r=true&recursive=1`).query.recursive).toBe(true)
  expect(reason(`arg=${v0}&r=true&recursive=0`)).toContain('"recursive" is given more than once')
})

describe('a CID in any base is told to backends in the one that they write', () => {
  const cid = CID.parse(v1)
  test.each(Object.values(bases).filter(({ prefix }) => prefix !== '\0'))('$name', ({ encoder }) => {
    expect(asked(`arg=${encodeURIComponent(cid.toString(encoder))}`).query.arg).toBe(v1)
  })
})

test.each([
  [v0, v0],
  [`/ipfs/${v0}`, v0],
  [`/ipfs/${v0}/`, v0],
  [`${v1}=`, v1],
  [`ipfs://${v1}`, v1],
  [`IPFS:${v1}/a`, `/ipfs/${v1}/a`],
  [`${v0}/a/b c/ü`, `/ipfs/${v0}/a/b c/ü`],
  [`/ipfs/${v0}/a?b#c%2f`, `/ipfs/${v0}/a?b#c%2f`],
])('%s', (given, arg) => {
  const parsed = parseArg(given)
  expect(parsed.ok ? parsed.value.query.arg : parsed.reason).toBe(arg)
})

test('an identity CID brings its block along', () => {
  const { root } = asked('arg=bafkqablimvwgy3y').query
  expect(Buffer.from(root.inline ?? []).toString()).toBe('hello')
  expect(root.codec).toBe(0x55)
  expect(asked('arg=bafkqaaa').query.root.inline).toEqual(new Uint8Array())
})

const cidOf = (hash: number, digestBytes: number, codec = 0x55) =>
  CID.createV1(codec, digests.create(hash, new Uint8Array(digestBytes))).toString()

test.each([
  ['an unknown hash function', cidOf(0x3456, 32), 'cannot be verified'],
  ['a digest that is too short', cidOf(0x12, 19), 'could forge'],
  ['a CID over 168 bytes', cidOf(0x12, 200), '168 bytes'],
  ['an identity CID over 168 bytes', cidOf(0x00, 200), '168 bytes'],
  ['an IPNS name as a CID', cidOf(0x00, 36, 0x72), 'IPNS'],
  ['a peer ID', '12D3KooWEEDqSX1dBf4AnwpXoVNccGW7MTJdGyqE8MD2rPAJNBpF', 'no CID'],
  ['an IPNS path', `/ipns/${v0}`, 'may change'],
  ['an IPNS URI', 'ipns://example.org', 'may change'],
  ['an IPLD path', `/ipld/${v1}`, 'no path of /ipfs/'],
  ['a URL', `https://ipfs.io/ipfs/${v0}`, 'is a URL'],
  ['a URL of a file', 'file:///etc/passwd', 'is a URL'],
  ['a path of a disk', '/etc/passwd', 'no path of /ipfs/'],
  ['dots', `/ipfs/${v0}/../x`, '".."'],
  ['dots in front', `../${v0}`, 'no CID'],
  ['a dot', `${v0}/./x`, '"."'],
  ['an empty part', `${v0}//x`, 'empty part'],
  ['two slashes at the end', `${v0}//`, 'empty part'],
  ['a line break', `${v0}\r\nX: y`, 'control character'],
  ['a null', `${v0}\0`, 'control character'],
  ['nothing', '', 'is empty'],
  ['a namespace only', '/ipfs/', 'no CID'],
  ['a CID that is cut', v1.slice(0, -3), 'no CID'],
  ['a CIDv0 with a base', `z${v0}`, 'no CID'],
  ['a very long CID', `b${'a'.repeat(1_000)}`, 'more than 512'],
  ['a very long path', `${v0}/${'a'.repeat(3_000)}`, 'longer than 2048'],
])('%s is refused', (_, arg, why) => {
  const parsed = parseArg(arg)
  expect(parsed.ok ? 'was taken' : parsed.reason).toContain(why)
})

test.each([
  ['', 'argument "arg" is required'],
  ['r=true', 'argument "arg" is required'],
  [`arg=${v0}&arg=${v1}`, 'more than once'],
  [`arg=${v0}&arg=${v0}`, 'more than once'],
  ['arg=%ff', 'not UTF-8'],
  [`arg=${v0}&r=maybe`, 'option "recursive" is neither'],
  [`arg=${v0}&max-depth=x`, 'option "max-depth" is not a whole number'],
  [`arg=${v0}&timeout=1`, 'option "timeout" is not a duration'],
  [`arg=${v0}&e=1&format=x`, '"format" cannot be used together with "edges"'],
  [`arg=${v0}&format=${'x'.repeat(257)}`, 'option "format" is longer than 256'],
])('%s is refused', (query, why) => expect(reason(query)).toContain(why))

test('names of one kind cost little, whatever is in them', () => {
  const beganMs = performance.now()
  for (const first of ['z', 'b', '9', '7', '🚀', 'Qm', 'k', '0']) parseArg(first + '1'.repeat(511))
  expect(performance.now() - beganMs).toBeLessThan(250)
})
