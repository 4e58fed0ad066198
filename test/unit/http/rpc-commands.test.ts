import { expect, test } from 'bun:test'
import { base36 } from 'multiformats/bases/base36'
import { base58btc } from 'multiformats/bases/base58'
import { CID } from 'multiformats/cid'
import * as digests from 'multiformats/hashes/digest'
import { rpcCommands } from '#src/config/rpc-allow.ts'
import { type ForwardedCommand, parseCall } from '#src/http/rpc-commands.ts'

const peer = '12D3KooWEEDqSX1dBf4AnwpXoVNccGW7MTJdGyqE8MD2rPAJNBpF'
const cid = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'
const maxMs = 60_000

/** What a backend is told, as one line. */
function told(command: string, query: string): string {
  const parsed = parseCall(command as ForwardedCommand, query, maxMs)
  if (!parsed.ok) return `400 ${parsed.reason}`
  return `${parsed.value.command} ${parsed.value.query.map((pair) => pair.join('=')).join(' ')}`
}

test.each([
  ['block/stat', `arg=${cid}`, `block/stat arg=${cid} timeout=60000ms`],
  ['block/stat', `arg=/ipfs/${cid}/a b`, `block/stat arg=/ipfs/${cid}/a b timeout=60000ms`],
  ['dag/resolve', `arg=${cid}/a`, `dag/resolve arg=/ipfs/${cid}/a timeout=60000ms`],
  ['dht/findpeer', `arg=${peer}&timeout=30s`, `routing/findpeer arg=${peer} timeout=30000ms`],
  ['dht/findprovs', `arg=${cid}&n=5`, `routing/findprovs arg=${cid} num-providers=5 timeout=60000ms`],
  ['dht/findprovs', `arg=${cid}`, `routing/findprovs arg=${cid} num-providers=20 timeout=60000ms`],
  ['dht/get', `arg=/ipns/${peer}`, `routing/get arg=/ipns/${peer} timeout=60000ms`],
  ['dht/provide', `arg=${cid}&recursive=false`, `routing/provide arg=${cid} timeout=60000ms`],
  ['dht/put', `arg=/ipns/${peer}&allow-offline=true`, `routing/put arg=/ipns/${peer} timeout=60000ms`],
  ['dht/query', `arg=${peer}&verbose=true`, `dht/query arg=${peer} timeout=60000ms`],
  ['name/resolve', `arg=${peer}&r=0`, `name/resolve arg=/ipns/${peer} recursive=false timeout=60000ms`],
  ['name/resolve', 'arg=ipns://docs.ipfs.tech', 'name/resolve arg=/ipns/docs.ipfs.tech timeout=60000ms'],
  ['resolve', 'arg=/ipns/docs.ipfs.tech/a/b', 'resolve arg=/ipns/docs.ipfs.tech/a/b timeout=60000ms'],
  ['resolve', `arg=/ipfs/${cid}/a&recursive`, `resolve arg=/ipfs/${cid}/a recursive=true timeout=60000ms`],
  ['routing/findprovs', `arg=ipfs://${cid}`, `routing/findprovs arg=${cid} num-providers=20 timeout=60000ms`],
])('%s %s', (command, query, expected) => expect(told(command, query)).toBe(expected))

test('a peer ID is told in base58, whatever it came as', () => {
  const key = CID.createV1(0x72, digests.decode(base58btc.baseDecode(peer)))
  for (const text of [key.toString(base36), key.toString()]) {
    expect(told('dht/findpeer', `arg=${text}`)).toBe(`routing/findpeer arg=${peer} timeout=60000ms`)
  }
})

test('a longer time is cut, and what is unknown is dropped', () => {
  const query = `arg=${cid}&timeout=10h&stream-channels=true&offline=true&Authorization=x&encoding=xml`
  expect(told('block/stat', query)).toBe(`block/stat arg=${cid} timeout=60000ms`)
})

test.each([
  ['block/stat', '', 'is required'],
  ['block/stat', `arg=${cid}&arg=${cid}`, 'more than once'],
  ['block/stat', 'arg=/etc/passwd', 'no path of /ipfs/'],
  ['block/stat', `arg=/ipns/${peer}`, 'may change'],
  ['dht/findprovs', `arg=${cid}/a`, 'path behind its CID'],
  ['dht/findprovs', `arg=${cid}&n=0`, 'from 1 to 100'],
  ['dht/findprovs', `arg=${cid}&num-providers=1000`, 'from 1 to 100'],
  ['dht/findpeer', `arg=${cid}`, 'not a peer ID'],
  ['dht/findpeer', `arg=${'1'.repeat(5_000)}`, 'not a peer ID'],
  ['dht/get', `arg=${peer}`, 'not a key'],
  ['dht/get', `arg=/providers/${peer}`, 'not a key'],
  ['dht/get', `arg=/ipns/${peer}/x`, 'not a key'],
  ['dht/get', 'arg=/ipns/../pk', 'not a key'],
  ['dht/provide', `arg=${cid}&recursive=true`, 'not served'],
  ['name/resolve', 'arg=/ipns/10.0.0.1', 'not a name'],
  ['name/resolve', 'arg=/ipns/localhost', 'not a name'],
  ['name/resolve', 'arg=http://example.org/', 'not a name'],
  ['resolve', 'arg=/ipns/example.org/../x', '".."'],
  ['resolve', 'arg=/ipns/example.org//x', 'empty part'],
  ['resolve', 'arg=/ipns/a b.org', 'not a name'],
  ['resolve', `arg=/ipns/example.org&timeout=x`, 'not a duration'],
])('%s %s is refused', (command, query, why) => {
  expect(told(command, query)).toStartWith('400 ')
  expect(told(command, query)).toContain(why)
})

test('every command that can be allowed has a rule', () => {
  for (const command of rpcCommands.filter((name) => name !== 'routing/v1')) {
    expect(told(command, '')).toContain('is required')
  }
})
