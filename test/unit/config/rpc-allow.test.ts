import { describe, expect, test } from 'bun:test'
import type { Machine } from '#src/config/environment.ts'
import { loadConfig } from '#src/config/load.ts'
import { parseRpcAllow, rpcCommands } from '#src/config/rpc-allow.ts'

const delegates = [
  'block/stat',
  'dht/findpeer',
  'dht/findprovs',
  'dht/get',
  'dht/provide',
  'dht/put',
  'dht/query',
  'resolve',
  'routing/v1',
]

test.each([
  ['none', []],
  ['block/stat', ['block/stat']],
  ['delegates', delegates],
  [' delegates , name/resolve, block/stat ', [...delegates, 'name/resolve'].sort()],
  ['/api/v0/block/stat,/routing/v1/*,/routing/v1,Resolve', ['block/stat', 'resolve', 'routing/v1']],
])('%s', (text, value) => expect(parseRpcAllow(text)).toEqual({ value: value as never, faults: [] }))

test('every path that is known can be allowed', () => {
  expect(parseRpcAllow(rpcCommands.join(',')).value).toEqual([...rpcCommands].sort())
})

describe('what changes or reveals a node cannot be allowed', () => {
  test.each(
    'config config/show shutdown key/gen key/export pin/add pin/ls files/rm swarm/connect swarm/peers repo/gc id diag/sys log/tail commands bootstrap/add p2p/forward pubsub/pub name/publish add block/put block/rm dag/put dag/import mount stats/bw update version bitswap/wantlist routing/reprovide provide/stat'.split(
      ' ',
    ),
  )('%s', (path) => expect(parseRpcAllow(path).faults[0]?.reason).toContain('changes or reveals a node'))
})

test.each([
  ['cat', 'nobody has verified'],
  ['block/get', 'nobody has verified'],
  ['dag/get', 'nobody has verified'],
  ['object/get', 'nobody has verified'],
  ['refs', 'leave it out'],
  ['refs/local', 'lists what a node stores'],
  ['block/stats', 'is it "block/stat"?'],
  ['delegate', 'is it "delegates"?'],
  ['', 'a comma too many'],
  ['../config', 'no path that can be forwarded'],
  ['*', 'no path that can be forwarded'],
  ['constructor', 'no path that can be forwarded'],
  ['http://10.0.0.1/', 'no path that can be forwarded'],
])('"%s" is refused', (text, why) => expect(parseRpcAllow(text).faults[0]?.reason).toContain(why))

test('each fault is told', () => {
  expect(parseRpcAllow('config,block/stat,cat').faults.map(({ found }) => found)).toEqual(['config', 'cat'])
})

describe('together with the backends', () => {
  const machine: Machine = {
    readFile: () => '',
    exists: () => false,
    ipv6: false,
    isTerminal: false,
    cwd: '/srv',
  }
  const peer = '12D3KooWEEDqSX1dBf4AnwpXoVNccGW7MTJdGyqE8MD2rPAJNBpF'
  const load = (backends: string, allow: string) => {
    const loaded = loadConfig({ KITSUNE_BACKENDS: backends, KITSUNE_RPC_ALLOW: allow }, machine)
    return loaded.kind === 'ok' ? loaded.config.rpcAllow : loaded.problems.map(({ message }) => message)
  }

  test('commands need an RPC', () => {
    const swarm = `/ip4/10.0.0.1/tcp/1/p2p/${peer}`
    expect(load(swarm, 'resolve')).toEqual([expect.stringContaining('needs a backend with an RPC')])
    expect(load(`${swarm},http://10.0.0.2:5001`, 'resolve')).toEqual(['resolve'])
  })

  test('/routing/v1 needs a gateway where it is named, the preset goes without', () => {
    expect(load('http://10.0.0.2:5001', 'resolve,routing/v1')).toEqual([expect.stringContaining(';gateway=')])
    expect(load('http://10.0.0.2:5001', 'delegates')).toEqual(delegates as never)
    expect(load('http://10.0.0.2:5001;gateway=http://10.0.0.2:8080', 'routing/v1')).toEqual(['routing/v1'])
  })
})
