import { describe, expect, test } from 'bun:test'
import type { Machine } from '#src/config/environment.ts'
import { loadConfig } from '#src/config/load.ts'
import { formatSwarmKey, parseSwarmKey } from '#src/config/swarm-key.ts'

const header = '/key/swarm/psk/1.0.0/'
const key = Uint8Array.from({ length: 32 }, (_, index) => index * 7 + 3)
const hex = Buffer.from(key).toString('hex')
/** As a file of any bytes is read. */
const bytes = Buffer.from(key).toString('latin1')

describe('a swarm key is read', () => {
  test.each([
    ['as Kubo writes it', `${header}\n/base16/\n${hex}`],
    ['with a newline at its end', formatSwarmKey(key)],
    ['with the line ends of Windows', `${header}\r\n/base16/\r\n${hex}\r\n`],
    ['in capitals', `${header}\n/base16/\n${hex.toUpperCase()}`],
    ['on one line', `${header} /base16/ ${hex}`],
    ['in base64', `${header}\n/base64/\n${Buffer.from(key).toString('base64')}\n`],
    ['in bytes', `${header}\n/bin/\n${bytes}`],
    ['in bytes, with a newline at its end', `${header}\n/bin/\n${bytes}\n`],
  ])('%s', (_, text) => {
    expect(parseSwarmKey(text)).toEqual({ ok: true, value: key })
  })

  test('though its bytes look like blanks', () => {
    const blanks = new Uint8Array(32).fill(0x0a)
    expect(parseSwarmKey(`${header}\n/bin/\n${'\n'.repeat(32)}`)).toEqual({ ok: true, value: blanks })
  })
})

test.each([
  ['', 'does not begin with /key/swarm/psk/1.0.0/'],
  [hex, 'does not begin with /key/swarm/psk/1.0.0/'],
  [`/key/swarm/psk/2.0.0/\n/base16/\n${hex}`, 'does not begin with /key/swarm/psk/1.0.0/'],
  [`${header}\n/base32/\n${hex}`, 'none of /base16/, /base64/, /bin/'],
  [`${header}\n${hex}`, 'none of /base16/, /base64/, /bin/'],
  [`${header}\n/base16/\n${hex.slice(2)}`, 'a key of 31 bytes'],
  [`${header}\n/base16/\n${hex}00`, 'a key of 33 bytes'],
  [`${header}\n/base16/\nzz${hex.slice(2)}`, 'not written in base16'],
  [`${header}\n/base64/\n!!!!`, 'not written in base64'],
  [`${header}\n/bin/\n${bytes.slice(1)}`, 'a key of 31 bytes'],
])('%j is refused', (text, reason) => {
  const parsed = parseSwarmKey(text)
  expect(parsed.ok ? 'taken' : parsed.reason).toContain(reason)
})

function load(env: Record<string, string>, files: Readonly<Record<string, Buffer>> = {}) {
  const machine: Machine = {
    readFile: (path, encoding) => {
      const file = files[path]
      if (file === undefined) throw new Error(`ENOENT: ${path}`)
      return file.toString(encoding ?? 'utf8')
    },
    exists: (path) => path in files,
    ipv6: false,
    isTerminal: false,
    cwd: '/srv',
  }
  return loadConfig({ KITSUNE_BACKENDS: 'http://10.0.0.11:5001', ...env }, machine)
}

function faults(env: Record<string, string>, files?: Readonly<Record<string, Buffer>>): string[] {
  const loaded = load(env, files)
  return loaded.kind === 'ok' ? [] : loaded.problems.map(({ variable, message }) => `${variable} ${message}`)
}

describe('in the environment', () => {
  const front = { KITSUNE_SWARM_KEY_FILE: '/etc/swarm.key' }

  test('front and back have each their own, from files of any bytes', () => {
    const other = Buffer.alloc(32, 0x85)
    const loaded = load(
      { ...front, KITSUNE_BACK_SWARM_KEY_FILE: '/etc/back.key' },
      {
        '/etc/swarm.key': Buffer.from(formatSwarmKey(key)),
        '/etc/back.key': Buffer.concat([Buffer.from(`${header}\n/bin/\n`), other]),
      },
    )
    if (loaded.kind !== 'ok') throw new Error(JSON.stringify(loaded.problems))
    expect(loaded.config.security.front).toEqual({ protocols: ['noise', 'tls'], swarmKey: key })
    expect(loaded.config.security.back).toEqual({
      protocols: ['tls', 'noise'],
      swarmKey: new Uint8Array(other),
    })
    expect(JSON.stringify(loaded.sources)).not.toContain(hex)
  })

  test('a broken file is told without a word of what is in it', () => {
    const files = { '/etc/swarm.key': Buffer.from(`${header}\n/base16/\n${hex.slice(2)}`) }
    const loaded = load(front, files)
    if (loaded.kind === 'ok') throw new Error('taken')
    expect(loaded.problems).toMatchObject([
      { variable: 'KITSUNE_SWARM_KEY', message: expect.stringContaining('31 bytes') },
    ])
    expect(JSON.stringify(loaded.problems)).not.toContain(hex.slice(2, 20))
  })

  test('doors that bring their own encryption contradict it, each by name', () => {
    const listen = '/ip4/0.0.0.0/tcp/1,/ip4/0.0.0.0/udp/1/quic-v1,/ip4/0.0.0.0/udp/2/webrtc-direct?'
    const files = { '/etc/swarm.key': Buffer.from(formatSwarmKey(key)) }
    const found = faults({ ...front, KITSUNE_LISTEN: listen }, files)
    expect(found).toHaveLength(2)
    for (const fault of found) expect(fault).toContain('cannot be in a private network')
    expect(faults({ ...front, KITSUNE_LISTEN: '/ip4/0.0.0.0/tcp/1,/ip4/0.0.0.0/tcp/2/ws' }, files)).toEqual(
      [],
    )
  })

  test('LIBP2P_FORCE_PNET=1 lets nothing start that is public on either side', () => {
    const files = { '/etc/swarm.key': Buffer.from(formatSwarmKey(key)) }
    const forced = { LIBP2P_FORCE_PNET: '1' }
    const missing = (name: string) => `${name} is not set, and LIBP2P_FORCE_PNET=1 asks for a private network`
    expect(faults(forced)).toEqual([missing('KITSUNE_SWARM_KEY'), missing('KITSUNE_BACK_SWARM_KEY')])
    expect(faults({ ...forced, ...front }, files)).toEqual([missing('KITSUNE_BACK_SWARM_KEY')])
    const both = { ...front, KITSUNE_BACK_SWARM_KEY_FILE: '/etc/swarm.key' }
    expect(faults({ ...forced, ...both }, files)).toEqual([])
    expect(faults({ LIBP2P_FORCE_PNET: '0' })).toEqual([])
  })

  test.each(['', 'tls', 'noise', 'noise,tls', 'tls, NOISE'])('security may be "%s"', (text) => {
    const loaded = load({ KITSUNE_SECURITY: text })
    const words = text === '' ? ['noise', 'tls'] : text.toLowerCase().split(/,\s*/)
    expect(loaded.kind === 'ok' ? [...loaded.config.security.front.protocols] : []).toEqual(
      words as ['noise'],
    )
  })

  test.each(['plaintext', 'tls,tls', 'tls,', ','])('security may not be "%s"', (text) => {
    expect(faults({ KITSUNE_SECURITY: text, KITSUNE_BACK_SECURITY: text })).toHaveLength(2)
  })
})
