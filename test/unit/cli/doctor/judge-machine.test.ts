import { describe, expect, test } from 'bun:test'
import { judgeCertificate } from '#src/cli/doctor/judge-certificates.ts'
import { type Door, type DoorFacts, judgeDoor } from '#src/cli/doctor/judge-doors.ts'
import { judgeMachine, type MachineFacts } from '#src/cli/doctor/judge-machine.ts'
import { doorsOfConfig } from '#src/cli/doctor/look-doors.ts'
import { doorsOf } from '#src/config/listen.ts'
import { configOf } from '#test/unit/cli/doctor/config.ts'

const healthy: MachineFacts = {
  addonFaults: {},
  tempDir: { path: '/tmp' },
  openFiles: 20_000,
  compiles: true,
  dataDir: { path: '/srv/kitsune-data', exposed: [] },
}

/** What is found beyond what is found on a healthy machine, as "level about: text | mend". */
function found(facts: Partial<MachineFacts>, env: Record<string, string> = {}): string[] {
  return judgeMachine({ ...healthy, ...facts }, configOf(env))
    .filter(
      ({ level, about }) =>
        level !== 'ok' || Object.keys(facts.addonFaults ?? {}).some((name) => about.includes(name)),
    )
    .map(({ level, about, text, mend }) => `${level} ${about}: ${text} | ${mend ?? ''}`)
}

test('a healthy machine is told so, thing by thing', () => {
  const findings = judgeMachine(healthy, configOf())
  expect(findings.map(({ level }) => level)).toEqual(findings.map(() => 'ok'))
  expect(findings.length).toBe(8)
})

describe('a temporary directory', () => {
  test.each([
    ['not-writable', 'cannot be written'],
    ['not-executable', 'is mounted noexec'],
  ] as const)('that is %s', (fault, text) => {
    const [first] = found({ tempDir: { path: '/tmp', fault } })
    expect(first).toContain(`fail temporary directory: /tmp ${text}`)
    expect(first).toContain('TMPDIR=')
  })
})

describe('an addon that does not load', () => {
  test('matters little where no door needs it', () => {
    expect(found({ addonFaults: { rwebtransport: 'no' } })).toEqual([
      'ok addon rwebtransport: does not load, and no door needs it: no | ',
    ])
  })

  test('fails where a door needs it, and is a warning where that is optional', () => {
    const door = '/ip4/0.0.0.0/udp/4001/quic-v1'
    const addonFaults = { '@chainsafe/libp2p-quic': 'no such file' }
    const text = `addon @chainsafe/libp2p-quic: does not load, so ${door} stays closed: no such file`
    expect(found({ addonFaults }, { KITSUNE_LISTEN: door })[0]).toStartWith(`fail ${text}`)
    expect(found({ addonFaults }, { KITSUNE_LISTEN: `${door}?` })[0]).toStartWith(`warn ${text}`)
  })

  test('without libsodium the edge is slower', () => {
    expect(found({ addonFaults: { 'sodium-native': 'no' } })[0]).toStartWith(
      'warn addon sodium-native: does not load, encryption',
    )
  })
})

describe('open files', () => {
  test('fewer than the connections that are allowed', () => {
    const env = { KITSUNE_MAX_CONNECTIONS: '20000' }
    expect(found({}, env)[0]).toMatch(
      /fail open files: 20000 at once, and KITSUNE_MAX_CONNECTIONS=20000 may need (\d+) \| ulimit -n \1 .*LimitNOFILE=\1/,
    )
    expect(found({ openFiles: Number.POSITIVE_INFINITY }, env)).toEqual([])
  })

  test('a system that does not say is not judged', () => {
    expect(judgeMachine({ ...healthy, openFiles: undefined, compiles: undefined }, configOf()).length).toBe(6)
  })
})

test('W^X takes the compiler away', () => {
  expect(found({ compiles: false })[0]).toMatch(/^fail compiler: .*MemoryDenyWriteExecute=no/)
})

describe('a data directory', () => {
  const path = '/srv/kitsune-data'

  test('that cannot be written', () => {
    const [made] = found({ dataDir: { path, fault: 'not-writable', exposed: [] } })
    expect(made).toMatch(
      /^fail data directory: .* the identity is kept there \| install -d -m 700 .*StateDirectory=/,
    )
    const [own] = found(
      { dataDir: { path, fault: 'not-writable', exposed: [] } },
      { KITSUNE_KEY_FILE: '/etc/key' },
    )
    expect(own).toContain('the seed of the lanes is kept there')
  })

  test('with secrets that others may read', () => {
    const exposed = [`${path}/identity.key`, `${path}/lanes.seed`]
    expect(found({ dataDir: { path, exposed } })).toEqual([
      `warn data directory: others may read ${exposed.join(' and ')} | chmod 600 ${exposed.join(' ')}`,
    ])
  })
})

describe('a door', () => {
  const [tcp, optional, udp] = doorsOf(
    ['/ip4/0.0.0.0/tcp/443', '/ip4/0.0.0.0/tcp/4001?', '/ip6/::/udp/4001/quic-v1'],
    [],
  ).map((door) => ({ ...door, variable: 'KITSUNE_LISTEN' })) as unknown as [Door, Door, Door]
  const judged = (facts: Omit<DoorFacts, 'ours'> & { ours?: boolean }) => {
    const { level, text, mend } = judgeDoor({ ours: false, ...facts }, '/opt/kitsune')
    return `${level}: ${text} | ${mend ?? ''}`
  }

  test('is every address that an edge listens on', () => {
    const doors = doorsOfConfig(
      configOf({
        KITSUNE_LISTEN: '/ip6/::/tcp/443/tls/ws?',
        KITSUNE_TLS_CERT_FILE: '/c.pem',
        KITSUNE_TLS_KEY_FILE: '/k.pem',
        KITSUNE_HTTP_LISTEN: '0.0.0.0:80',
        KITSUNE_ADMIN_LISTEN: '[::1]:9090',
      }),
    )
    expect(doors.map(({ address, optional, variable }) => [address, optional, variable])).toEqual([
      ['/ip6/::/tcp/443/tls/ws', true, 'KITSUNE_LISTEN'],
      ['/ip4/0.0.0.0/tcp/80', false, 'KITSUNE_HTTP_LISTEN'],
      ['/ip6/::1/tcp/9090', false, 'KITSUNE_ADMIN_LISTEN'],
    ])
    expect(doorsOfConfig(configOf({ KITSUNE_ADMIN_LISTEN: 'unix:/a.sock' })).length).toBe(2)
  })

  test('that can be opened, or is open', () => {
    expect(judged({ door: tcp })).toBe('ok: can be opened | ')
    expect(judged({ door: tcp, ours: true })).toBe('ok: is open in the edge that runs here | ')
  })

  test.each([
    ['EADDRINUSE', /^fail: nginx \(pid 8\) has the port \| ss -tlnp 'sport = :443'/],
    ['EACCES', /^fail: this user may not .* \| setcap cap_net_bind_service=\+ep \/opt\/kitsune /],
    ['EADDRNOTAVAIL', /^fail: no interface has the address 0\.0\.0\.0 \| ip -brief address/],
    ['EAFNOSUPPORT', /^fail: this system has no IPv6 \| sysctl/],
    ['EWHATEVER', /^fail: cannot be opened: EWHATEVER/],
  ])('%s', (fault, text) => expect(judged({ door: tcp, fault, holder: 'nginx (pid 8)' })).toMatch(text))

  test('an optional one is a warning; UDP has its own list of ports', () => {
    expect(judged({ door: optional, fault: 'EADDRINUSE' })).toStartWith('warn: another process has the port')
    expect(judged({ door: udp, fault: 'EADDRINUSE' })).toContain("ss -ulnp 'sport = :4001'")
  })
})

describe('a certificate', () => {
  const dayMs = 86_400_000
  const judged = (facts: object) => {
    const { level, text, mend } = judgeCertificate({ certFile: '/c.pem', ...facts } as Parameters<
      typeof judgeCertificate
    >[0])
    return `${level}: ${text} | ${mend ?? ''}`
  }

  test('by how long it holds', () => {
    const names = ['a.example.org']
    expect(judged({ names, endsInMs: 30.5 * dayMs })).toBe('ok: holds for 30 days more, for a.example.org | ')
    expect(judged({ names, endsInMs: 13.5 * dayMs })).toMatch(/^warn: holds for 13 days .*certbot renew/)
    expect(judged({ names: ['*.example.org'], endsInMs: 90 * dayMs })).toMatch(/^warn: .*KITSUNE_ANNOUNCE=/)
  })

  test('that cannot be used', () => {
    expect(judged({ fault: '/c.pem is expired', kind: 'expired' })).toMatch(
      /^fail: \/c\.pem is expired \| certbot/,
    )
    expect(judged({ fault: '/k.pem is not the key', kind: 'mismatch' })).toMatch(
      /^fail: .* \| openssl x509 .* \/c\.pem$/,
    )
  })
})
