import { describe, expect, test } from 'bun:test'
import { type Finding, quoted } from '#src/cli/doctor/finding.ts'
import { covers } from '#src/cli/doctor/ip-rules.ts'
import { judgeKubo, type KuboContext } from '#src/cli/doctor/judge-kubo.ts'

const lanes = ['12D3KooWA', '12D3KooWB', '12D3KooWC', '12D3KooWD']
const peered = {
  Peering: { Peers: [{ ID: 'QmOther', Addrs: ['/ip4/10.0.0.9/tcp/4001'] }, ...lanes.map((ID) => ({ ID }))] },
}
const context: KuboContext = { agent: 'kubo/0.39.0/', lanes, preload: true, seenAs: '10.0.0.2' }

function judged(settings: object, more: Partial<KuboContext> = {}): Finding[] {
  return judgeKubo('backend x', settings as Record<string, unknown>, { ...context, ...more })
}

/** The one finding whose text has `part`. */
function finding(part: RegExp, ...args: Parameters<typeof judged>): string {
  const [found, ...more] = judged(...args).filter(({ text }) => part.test(text))
  if (found === undefined || more.length > 0) throw new Error(JSON.stringify(judged(...args)))
  return `${found.level} ${found.mend ?? ''}`
}

test('a Kubo as it comes, on a private network: only its connection manager is worth a look', () => {
  const levels = judged({ Swarm: {}, Peering: { Peers: null } }).map(({ level }) => level)
  expect(levels).toEqual(['ok', 'warn', 'ok'])
})

test('settings of any shape do no harm', () => {
  for (const odd of [null, 7, 'x', [], [null], { Peers: [null, 7] }, { Enable: 'no' }]) {
    const settings = {
      Swarm: odd,
      Peering: odd,
      Internal: { Bitswap: odd },
      Gateway: odd,
      Addresses: odd,
      Bitswap: odd,
    }
    expect(judged(settings).length).toBeGreaterThan(2)
  }
})

test('one that serves nobody', () => {
  expect(finding(/ServerEnabled is false/, { Bitswap: { ServerEnabled: false } })).toBe(
    "fail ipfs config --json Bitswap.ServerEnabled 'true' # on that node; then restart it",
  )
  expect(finding(/Libp2pEnabled is false/, { Bitswap: { Libp2pEnabled: false } })).toStartWith('fail')
})

test('the profile "server" refuses private networks', () => {
  const AddrFilters = ['/ip4/10.0.0.0/ipcidr/8', '/ip4/192.168.0.0/ipcidr/16']
  expect(
    finding(/AddrFilters refuses us .*10\.0\.0\.0.* covers 10\.0\.0\.2/, { Swarm: { AddrFilters } }),
  ).toBe(
    `fail ipfs config --json Swarm.AddrFilters '["/ip4/192.168.0.0/ipcidr/16"]' # on that node; then restart it`,
  )
  expect(
    judged({ Swarm: { AddrFilters } }, { seenAs: '9.9.9.9' }).some(({ text }) => /AddrFilters/.test(text)),
  ).toBe(false)
})

describe('connections per address', () => {
  const nine = Array.from({ length: 9 }, (_, i) => `lane${i}`)
  const allow = (Allowlist: string[]) => ({ Swarm: { ResourceMgr: { Allowlist } } })

  test('eight lanes are fine without, nine are not', () => {
    expect(finding(/within its 8 connections/, {}, { lanes: nine.slice(1) })).toStartWith('ok')
    expect(finding(/9 lanes are more than its 8/, allow(['/ip4/9.9.9.9']), { lanes: nine })).toBe(
      `fail ipfs config --json Swarm.ResourceMgr.Allowlist '["/ip4/9.9.9.9","/ip4/10.0.0.2/ipcidr/32"]' # on that node; then restart it`,
    )
    expect(finding(/9 lanes are within its 16/, {}, { lanes: nine, seenAs: 'fd00::2' })).toStartWith('ok')
  })

  test('an allowlist that covers us, or every lane by its ID', () => {
    expect(finding(/lets all lanes in/, allow(['/ip4/10.0.0.0/ipcidr/24']), { lanes: nine })).toStartWith(
      'ok',
    )
    const byId = nine.map((lane) => `/ip4/10.0.0.0/ipcidr/24/p2p/${lane}`)
    expect(finding(/lets all lanes in/, allow(byId), { lanes: nine })).toStartWith('ok')
    expect(finding(/9 lanes are more/, allow(byId.slice(1)), { lanes: nine })).toStartWith('fail')
    expect(finding(/9 lanes are more/, allow(['/ip4/10.1.0.0/ipcidr/24']), { lanes: nine })).toStartWith(
      'fail',
    )
  })

  test('without a resource manager, or without knowing where we come from', () => {
    expect(
      finding(/resource manager is off/, { Swarm: { ResourceMgr: { Enabled: false } } }, { lanes: nine }),
    ).toStartWith('ok')
    const { seenAs: _, ...unseen } = { ...context, lanes: nine }
    const findings = judgeKubo('backend x', {}, unseen)
    expect(findings.find(({ text }) => /9 lanes are more/.test(text))?.level).toBe('warn')
  })
})

describe('connections that are kept', () => {
  test('by peering with all lanes, whoever else is there', () => {
    expect(finding(/Peering\.Peers has all lanes/, peered)).toStartWith('ok')
  })

  test('or because nothing is trimmed', () => {
    expect(finding(/connection manager is off/, { Swarm: { ConnMgr: { Type: 'none' } } })).toStartWith('ok')
    expect(finding(/not in the public swarm/, { Routing: { Type: 'none' } })).toStartWith('ok')
  })

  test('else the command names the lanes and keeps the other peers', () => {
    const Peers = peered.Peering.Peers.slice(0, 3)
    const settings = { Peering: { Peers }, Swarm: { ConnMgr: { HighWater: 200 } } }
    expect(finding(/more than 200 peers/, settings)).toBe(
      `warn ipfs config --json Peering.Peers ${quoted(JSON.stringify(peered.Peering.Peers))} # on that node; then restart it`,
    )
  })
})

describe('what a preload needs to be told', () => {
  const control = (settings: object) => ({ Internal: { Bitswap: { BroadcastControl: settings } } })
  const broadcast = (...args: Parameters<typeof judged>) => finding(/what it wants/, ...args)

  test('lanes are told, wherever they come from: they announce no address', () => {
    expect(broadcast({})).toStartWith('ok')
    expect(broadcast(control({ LocalPeers: null, MaxPeers: null }), { seenAs: '9.9.9.9' })).toStartWith('ok')
  })

  test('unless that is switched off, and they are not peers either', () => {
    const local = control({ LocalPeers: true })
    const mend = `fail ipfs config --json Internal.Bitswap.BroadcastControl.LocalPeers 'false' # on that node; then restart it`
    expect(broadcast(local)).toBe(mend)
    expect(broadcast({ ...peered, ...local })).toStartWith('ok')
    expect(broadcast({ ...peered, ...control({ LocalPeers: true, PeeredPeers: true }) })).toBe(mend)
  })

  test('nobody is told with MaxPeers 0, everybody before 0.36 or without the control', () => {
    expect(broadcast({ ...peered, ...control({ MaxPeers: 0 }) })).toBe(
      `fail ipfs config --json Internal.Bitswap.BroadcastControl.MaxPeers '-1' # on that node; then restart it`,
    )
    const closed = { LocalPeers: true, MaxPeers: 0 }
    expect(broadcast(control({ ...closed, Enable: false }))).toStartWith('ok')
    expect(broadcast(control(closed), { agent: 'kubo/0.35.0' })).toStartWith('ok')
    expect(broadcast(control(closed), { agent: 'kubo/0.36.0' })).toStartWith('fail')
  })

  test('is no matter without preloads', () => {
    expect(judged({}, { preload: false }).some(({ text }) => /what it wants/.test(text))).toBe(false)
  })
})

test('a gateway for the whole world', () => {
  const Addresses = { Gateway: ['/ip4/0.0.0.0/tcp/8080'] }
  expect(finding(/whatever anybody asks/, { Addresses })).toBe(
    `warn ipfs config --json Gateway.NoFetch 'true' # on that node; then restart it`,
  )
  const texts = judged({ Addresses, Gateway: { NoFetch: true } }).map(({ text }) => text)
  expect(texts.some((text) => /whatever anybody/.test(text))).toBe(false)
})

test('rules of addresses', () => {
  expect(covers(['/ip4/10.0.0.0/ipcidr/8'], '10.9.9.9')).toBe(true)
  expect(covers(['/ip4/10.0.0.1'], '10.0.0.1')).toBe(true)
  expect(covers(['/ip4/10.0.0.1'], '10.0.0.2')).toBe(false)
  expect(covers(['/ip6/fd00::/ipcidr/8'], 'fd12::1')).toBe(true)
  expect(covers(['/ip6/fd00::/ipcidr/8'], '10.0.0.1')).toBe(false)
  expect(
    covers(['/ip4/10.0.0.0/ipcidr/33', '/ip4/x', '', 'nonsense', '/ip4/10.0.0.1/tcp/1'], '10.0.0.1'),
  ).toBe(false)
  expect(covers(['/ip4/10.0.0.0/ipcidr/8'], 'a.example.org')).toBe(false)
})

test('what is quoted is one word of a shell', () => {
  expect(quoted(`it's`)).toBe(`'it'\\''s'`)
})
