import { describe, expect, test } from 'bun:test'
import type { Config } from '#src/config/config.ts'
import type { Environment, Machine } from '#src/config/environment.ts'
import { loadConfig } from '#src/config/load.ts'
import { parseHttpListen } from '#src/config/schema-tls.ts'

const wss = {
  KITSUNE_BACKENDS: 'http://10.0.0.11:5001',
  KITSUNE_LISTEN: '/ip4/0.0.0.0/tcp/4001,/ip4/0.0.0.0/tcp/443/tls/ws',
}
const one = { ...wss, KITSUNE_TLS_CERT_FILE: 'a.crt', KITSUNE_TLS_KEY_FILE: '/k/a.key' }

function machine(files: Record<string, string> = {}): Machine {
  return {
    readFile: (path) => files[path] ?? '',
    exists: (path) => path in files,
    ipv6: true,
    isTerminal: false,
    cwd: '/srv',
  }
}

function load(env: Environment, on = machine()): Config {
  const loaded = loadConfig(env, on)
  if (loaded.kind === 'invalid') throw new Error(JSON.stringify(loaded.problems))
  return loaded.config
}

test('certificates and their keys stand in pairs, with whole paths', () => {
  expect(load(one).tls).toEqual([{ certFile: '/srv/a.crt', keyFile: '/k/a.key' }])
  const two = { ...wss, KITSUNE_TLS_CERT_FILE: '/a.crt, /b.pem', KITSUNE_TLS_KEY_FILE: '/a.key,/b.pem' }
  expect(load(two).tls).toEqual([
    { certFile: '/a.crt', keyFile: '/a.key' },
    { certFile: '/b.pem', keyFile: '/b.pem' },
  ])
})

test('a credential of systemd is the file itself', () => {
  const files = { '/creds/KITSUNE_TLS_CERT_FILE': 'PEM', '/creds/KITSUNE_TLS_KEY_FILE': 'PEM' }
  expect(load({ ...wss, CREDENTIALS_DIRECTORY: '/creds' }, machine(files)).tls).toEqual([
    { certFile: '/creds/KITSUNE_TLS_CERT_FILE', keyFile: '/creds/KITSUNE_TLS_KEY_FILE' },
  ])
})

test('plain HTTP is listened on where it is said', () => {
  const http = { ...one, KITSUNE_HTTP_LISTEN: '0.0.0.0:80,[::]:80', KITSUNE_ACME_WEBROOT: 'acme' }
  expect(load(http).http).toEqual({
    listen: ['/ip4/0.0.0.0/tcp/80', '/ip6/::/tcp/80'],
    acmeWebroot: '/srv/acme',
  })
  for (const text of ['off', '80', 'localhost:80', ':80', '0.0.0.0', '0.0.0.0:70000', 'unix:/run/a.sock'])
    expect(parseHttpListen(text)).toMatchObject({ ok: false })
})

describe('contradictions', () => {
  test.each<[string, Environment, ...[string, string][]]>([
    [
      'wss without a certificate',
      wss,
      ['KITSUNE_TLS_CERT_FILE', '/ip4/0.0.0.0/tcp/443/tls/ws of KITSUNE_LISTEN'],
    ],
    [
      'a door that is optional needs one too',
      { ...wss, KITSUNE_LISTEN: '/ip4/0.0.0.0/tcp/443/wss?' },
      ['KITSUNE_TLS_CERT_FILE', 'is not set'],
    ],
    ['no key', { ...one, KITSUNE_TLS_KEY_FILE: '' }, ['KITSUNE_TLS_KEY_FILE', 'is not set']],
    ['no certificate', { ...one, KITSUNE_TLS_CERT_FILE: '' }, ['KITSUNE_TLS_CERT_FILE', 'is not set']],
    [
      'more keys than certificates',
      { ...one, KITSUNE_TLS_KEY_FILE: 'a,b' },
      ['KITSUNE_TLS_KEY_FILE', 'has 2 keys, and KITSUNE_TLS_CERT_FILE 1 certificate'],
    ],
    [
      'a certificate for no door',
      { ...one, KITSUNE_LISTEN: '/ip4/0.0.0.0/tcp/4002/ws' },
      ['KITSUNE_TLS_CERT_FILE', 'has no use'],
    ],
    [
      'a key for no door',
      { ...one, KITSUNE_TLS_CERT_FILE: '', KITSUNE_LISTEN: '/ip4/0.0.0.0/tcp/4002/ws' },
      ['KITSUNE_TLS_CERT_FILE', 'is not set'],
      ['KITSUNE_TLS_KEY_FILE', 'has no use'],
    ],
    [
      'tokens that nobody can ask for',
      { ...one, KITSUNE_ACME_WEBROOT: '/a' },
      ['KITSUNE_ACME_WEBROOT', 'without KITSUNE_HTTP_LISTEN'],
    ],
    [
      'a redirect to nowhere',
      { KITSUNE_BACKENDS: wss.KITSUNE_BACKENDS, KITSUNE_HTTP_LISTEN: '0.0.0.0:80' },
      ['KITSUNE_HTTP_LISTEN', 'no address with /tls/ws'],
    ],
    [
      'one port for wss and plain HTTP',
      { ...one, KITSUNE_HTTP_LISTEN: '127.0.0.1:443' },
      ['KITSUNE_HTTP_LISTEN', 'same port as /ip4/0.0.0.0/tcp/443/tls/ws'],
    ],
    [
      'one port for plain HTTP and the admin API',
      { ...one, KITSUNE_HTTP_LISTEN: '0.0.0.0:9090' },
      ['KITSUNE_HTTP_LISTEN', 'same port as KITSUNE_ADMIN_LISTEN'],
    ],
    [
      'one port twice',
      { ...one, KITSUNE_HTTP_LISTEN: '0.0.0.0:80,127.0.0.1:80' },
      ['KITSUNE_HTTP_LISTEN', 'same port as /ip4/0.0.0.0/tcp/80'],
    ],
  ])('%s', (_what, env, ...expected) => {
    const loaded = loadConfig(env, machine())
    const problems = loaded.kind === 'invalid' ? loaded.problems : []
    expect(problems.map(({ variable }) => variable)).toEqual(expected.map(([variable]) => variable))
    for (const [index, [, words]] of expected.entries()) expect(problems[index]?.message).toContain(words)
  })

  test('PROXY headers for ws mean wss as well', () => {
    const proxied = { ...one, KITSUNE_PROXY_PROTOCOL: 'ws', KITSUNE_TRUSTED_PROXIES: '10.0.0.1' }
    expect(load(proxied).proxies.protocol).toEqual(['ws'])
  })
})
