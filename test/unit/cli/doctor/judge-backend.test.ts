import { expect, test } from 'bun:test'
import { type BackendFacts, judgeBackend } from '#src/cli/doctor/judge-backend.ts'
import { configOf } from '#test/unit/cli/doctor/config.ts'

const name = 'http://10.0.0.11:5001'
const config = configOf({ KITSUNE_BACKENDS: `${name};gateway=http://10.0.0.11:8080` })
const [backend] = config.backends as [(typeof config.backends)[number]]
const rpc = {
  ok: true,
  agent: 'kubo/0.39.0/',
  clockAheadMs: 900,
  settings: { Routing: { Type: 'none' } },
} as const
const healthy: BackendFacts = {
  rpc,
  swarm: { ok: true, pingMs: 0.52, observed: '10.0.0.2' },
  gateway: 412,
  localAddress: '10.0.0.2',
}

function found(facts: Partial<BackendFacts> = {}): string[] {
  return judgeBackend(backend, { ...healthy, ...facts }, { config, lanes: ['12D3KooWA'] }).map(
    ({ level, about, text, mend }) => `${level} ${about}: ${text}${mend === undefined ? '' : ` | ${mend}`}`,
  )
}
const bad = (facts: Partial<BackendFacts>) => found(facts).filter((line) => !line.startsWith('ok'))

test('a healthy backend', () => {
  const lines = found()
  expect(bad({})).toEqual([])
  expect(lines.slice(0, 4)).toEqual([
    `ok backend ${name}: RPC answers: kubo/0.39.0/`,
    `ok backend ${name}: clocks agree`,
    `ok backend ${name}: libp2p answers, ping 0.5 ms`,
    `ok backend ${name}: gateway answers, and fetches nothing for us`,
  ])
})

test('an RPC that does not answer is said once, with where Kubo would have to listen', () => {
  const reason = 'the RPC cannot be reached'
  expect(found({ rpc: { ok: false, reason }, swarm: { ok: false, reason } })).toEqual([
    `fail backend ${name}: RPC: ${reason} | ipfs config Addresses.API /ip4/10.0.0.11/tcp/5001 # on that node; then restart it, and try curl -X POST ${name}/api/v0/id`,
    `ok backend ${name}: gateway answers, and fetches nothing for us`,
  ])
})

test.each([
  [45_000, '45 s behind'],
  [-45_000, '45 s ahead of'],
])('a clock that differs by %p ms', (clockAheadMs, text) => {
  expect(bad({ rpc: { ...rpc, clockAheadMs } })).toEqual([
    expect.stringMatching(new RegExp(`^warn .*this machine's clock is ${text} its clock.*timedatectl`)),
  ])
})

test('a swarm that does not answer, unless lanes are up', () => {
  const swarm = { ok: false, reason: 'connection refused' } as const
  expect(bad({ swarm })).toEqual([
    expect.stringMatching(/^fail .*libp2p: connection refused \| ipfs swarm addrs/),
  ])
  expect(found({ swarm, lanesUp: 4 })).toContain(
    `ok backend ${name}: 4 lanes of the edge that runs here are up`,
  )
  expect(bad({ swarm, lanesUp: 0 }).length).toBe(1)
})

test('pings that are slow, or do not come', () => {
  expect(bad({ swarm: { ok: true, pingMs: 1_200 } })[0]).toMatch(/^warn .*a ping takes 1200 ms/)
  expect(bad({ swarm: { ok: true } })[0]).toMatch(/^warn .*no ping/)
})

test.each([
  [504, undefined],
  [200, 'gateway answers 200'],
  [301, 'name it by its IP address'],
  ['timeout', 'gateway: timeout; blocks come by Bitswap'],
])('a gateway that answers %p', (gateway, text) => {
  const lines = bad({ gateway })
  expect(lines.length).toBe(text === undefined ? 0 : 1)
  if (text !== undefined) expect(lines[0]).toContain(text)
})

test('settings that cannot be read are worth a look, not a failure', () => {
  expect(bad({ rpc: { ...rpc, settings: 'the RPC refuses us' } })).toEqual([
    expect.stringMatching(
      /^warn .*the RPC refuses us \| curl -X POST 'http:\/\/10\.0\.0\.11:5001\/api\/v0\/config\/show'/,
    ),
  ])
})

test('where libp2p did not tell what we come from, the way to the RPC does', () => {
  const settings = { Routing: { Type: 'none' }, Swarm: { AddrFilters: ['/ip4/10.0.0.0/ipcidr/8'] } }
  const swarm = { ok: false, reason: 'reset' } as const
  expect(bad({ rpc: { ...rpc, settings }, swarm, localAddress: '10.0.0.2' })).toContainEqual(
    expect.stringContaining('AddrFilters refuses us'),
  )
})
