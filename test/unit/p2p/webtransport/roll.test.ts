import { expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { readdir, symlink, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { Libp2p } from 'libp2p'
import type { NativeServer, Rwebtransport } from '#src/p2p/webtransport/addon.ts'
import { clockSkewMs, validMs } from '#src/p2p/webtransport/certificate.ts'
import { poll } from '#test/support/edge.ts'
import { socketsOn } from '#test/support/udp-sockets.ts'
import { until } from '#test/unit/p2p/front-under-test.ts'
import { client, door, echoed, freeUdpPort, opens } from './door-under-test.ts'

for (const [how, sharePort] of [
  ['cannot share a port', () => undefined],
  ['refuses to', () => ({ all: () => false, split: () => 0 })],
  ['refuses to at the last moment', () => ({ all: () => true, split: () => 0 })],
] as const) {
  test(`a system that ${how}: the certificate changes all the same, and whoever loses by it is counted`, async () => {
    const dueMs = validMs - 2 * clockSkewMs
    const it = await door({ behindMs: -dueMs - 1_000, sharePort })
    const address = it.address()
    const early = await client()
    await echoed(early, address, Buffer.from('early'))
    it.pass(dueMs + 2_000)
    await it.listener.roll()
    expect(it.warnings).toEqual([expect.stringContaining('{"connections":1}')])
    expect([it.gate.open, it.node.getConnections()]).toEqual([0, []])
    expect((await echoed(await client(), address, Buffer.from('late'))).toString()).toBe('late')
    expect(it.address()).not.toBe(address)
  })
}

test('a host that stops while the certificate changes leaves nothing behind', async () => {
  const dueMs = validMs - 2 * clockSkewMs
  const it = await door({ behindMs: -dueMs - 1_000 })
  const port = it.port()
  it.pass(dueMs + 2_000)
  const rolled = it.listener.roll()
  await it.node.stop()
  await rolled
  expect(socketsOn(port)).toBe(0)
})

test('where the one after next cannot be kept, the next is served all the same, and it is said once', async () => {
  const dueMs = validMs - 2 * clockSkewMs
  const it = await door({ behindMs: -dueMs - 1_000 })
  const [, , next] = /\/certhash\/([^/]+)\/certhash\/([^/]+)/.exec(it.address()) ?? []
  const directory = join(it.dataDir, 'webtransport')
  const starts = (await readdir(directory)).map((name) => Number.parseInt(name, 10))
  // A link to nowhere can neither be read nor replaced, whoever tries.
  const after = join(directory, `${Math.max(...starts) + dueMs / 1_000}.pem`)
  await symlink(join(directory, 'nowhere'), after)
  it.pass(dueMs + 2_000)
  await it.listener.roll()
  await it.listener.roll()
  expect(it.warnings).toEqual([expect.stringContaining('could not be renewed')])
  expect(it.address()).toContain(`/certhash/${next}/p2p/`)
  expect((await echoed(await client(), it.address(), Buffer.from('next'))).toString()).toBe('next')
  await unlink(after)
  await it.listener.roll()
  expect(it.address()).toContain(`/certhash/${next}/certhash/`)
})

test('a server whose native code failed is replaced; a host that stops leaves nothing of it', async () => {
  const servers: [Rwebtransport, NativeServer][] = []
  const it = await door({
    spy: (addon) => ({
      ...addon,
      serverListen: (...args) => {
        const server = addon.serverListen(...args)
        servers.push([addon, server])
        return server
      },
    }),
  })
  const port = it.port()
  const early = await client()
  await echoed(early, it.address(), Buffer.from('early'))
  for (const [addon, server] of servers.splice(0)) addon.serverShutdown(server)
  await until(() => it.node.getConnections().length === 0 && it.gate.open === 0)
  await until(() => socketsOn(port) === 1)
  expect((await echoed(await client(), it.address(), Buffer.from('again'))).toString()).toBe('again')
  expect(it.warnings).toEqual([expect.stringContaining('failed in native code')])
  await it.node.stop()
  expect(socketsOn(port)).toBe(0)
})

test('IPv4 and IPv6 share a port, on which the certificate changes for both', async () => {
  const dueMs = validMs - 2 * clockSkewMs
  const port = await freeUdpPort()
  const it = await door({
    listen: [`/ip6/::/udp/${port}`, `/ip4/0.0.0.0/udp/${port}`],
    behindMs: -dueMs - 1_000,
  })
  const hosts = ['/ip4/127.0.0.1', '/ip6/::1']
  const tell = async (node: Libp2p | undefined, host: string): Promise<void> => {
    const address = it.address().replace(/^\/ip\d\/[^/]+/, host)
    expect((await echoed(node as Libp2p, address, Buffer.from(host))).toString()).toBe(host)
  }
  const early = await Promise.all([client(), client()])
  for (const [i, host] of hosts.entries()) await tell(early[i], host)
  it.pass(dueMs + 2_000)
  for (const listener of it.listeners) await listener.roll()
  expect(it.warnings).toEqual([])
  for (let time = 0; time < 5; time++) {
    for (const [i, host] of hosts.entries()) {
      await tell(early[i], host)
      await tell(await client(), host)
    }
  }
  const remotes = it.node.getConnections().map(({ remoteAddr }) => remoteAddr.toString().split('/')[2])
  expect(new Set(remotes)).toEqual(new Set(['127.0.0.1', '::1']))
  for (const node of early) expect(node.getConnections()).toHaveLength(1)
}, 20_000)

test('the certificate changes: who is connected stays, old addresses lead here, new ones are announced', async () => {
  // Clients look at the real clock: both certificates are valid by it, the one an hour more, the other since an hour.
  const dueMs = validMs - 2 * clockSkewMs
  const it = await door({ behindMs: -dueMs - 1_000 })
  const [before, current = '', next = ''] = /\/certhash\/([^/]+)\/certhash\/([^/]+)/.exec(it.address()) ?? []
  const address = it.address()
  const only = (hash: string): string => address.replace(before ?? '', `/certhash/${hash}`)
  const early = await client()
  expect((await echoed(early, only(current), Buffer.from('early'))).toString()).toBe('early')
  expect(await opens(it, only(next))).toBe(false)
  it.pass(dueMs + 2_000)
  await it.listener.roll()
  expect(it.warnings).toEqual([])
  expect(it.address()).toContain(`/certhash/${next}/certhash/`)
  for (let i = 0; i < 20; i++) {
    expect((await echoed(early, only(current), Buffer.from('still'))).toString()).toBe('still')
    expect((await echoed(await client(), address, randomBytes(100_000))).length).toBe(100_000)
  }
  expect((await echoed(await client(), only(next), Buffer.from('late'))).toString()).toBe('late')
  expect(await opens(it, only(current))).toBe(false)
  expect(early.getConnections()).toHaveLength(1)
  // The server before goes when its clients have gone.
  expect(socketsOn(it.port())).toBe(2)
  await early.stop()
  const sockets = async (): Promise<number> => {
    await it.listener.roll()
    return socketsOn(it.port())
  }
  await poll(sockets, (count) => count === 1, 5_000)
  expect((await echoed(await client(), it.address(), Buffer.from('after'))).toString()).toBe('after')
}, 30_000)
