import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { doorsOf, type ListenAddress } from '#src/config/listen.ts'
import { explainClosed, explainMissing } from '#src/p2p/door/door-fault.ts'
import { holderOfPort } from '#src/p2p/door/port-holder.ts'
import { lookAtTempDir } from '#src/p2p/door/temp-dir.ts'

const door = (address: string): ListenAddress => doorsOf([address], [])[0] as ListenAddress
const tcp = door('/ip4/10.0.0.9/tcp/443')

let temp: string | undefined
beforeEach(() => {
  temp = process.env.TMPDIR
})
afterEach(() => {
  if (temp === undefined) delete process.env.TMPDIR
  else process.env.TMPDIR = temp
})

describe('what systems and libraries say', () => {
  test.each([
    [
      'listen EADDRINUSE: address already in use 10.0.0.9:443',
      /^the port is in use by another process: stop that/,
    ],
    ['Address already in use (os error 98)', /^the port is in use/],
    [
      'listen EACCES: permission denied 10.0.0.9:443',
      /^this user may not open ports below 1024: setcap cap_net_bind/,
    ],
    ['Permission denied (os error 13)', /^this user may not/],
    [
      'listen EADDRNOTAVAIL: address not available',
      /^no interface of this machine has the address 10\.0\.0\.9:/,
    ],
    ['Cannot assign requested address (os error 99)', /^no interface/],
    ['listen EAFNOSUPPORT', /^this system has no IPv6/],
    ['something\nelse', /^something$/],
    [
      'Some configured addresses failed, you may need to …:\n\n  /ip4/10.0.0.9/tcp/443: Error: listen EXYZ: odd\n  at listen (x.js)',
      /^listen EXYZ: odd$/,
    ],
  ])('%p', async (text, line) => expect(await explainClosed(tcp, new Error(text))).toMatch(line))

  test('a port above 1023 needs no capability', async () => {
    const text = await explainClosed(
      door('/ip4/0.0.0.0/tcp/4001'),
      new Error('listen EACCES: permission denied'),
    )
    expect(text).toStartWith('this user may not open port 4001')
  })

  test('what is wrong with a certificate is not mistaken for what is wrong with a port', async () => {
    const text = `EACCES: permission denied, open '/etc/key.pem'`
    expect(await explainMissing(new Error(text))).toBe(text)
  })
})

describe('native code', () => {
  const error = new Error('/$bunfs/root/quic-1.node: cannot open shared object file')

  test('that cannot be unpacked names the directory', async () => {
    process.env.TMPDIR = '/nonexistent'
    expect(await explainMissing(error)).toBe(
      'its native code cannot be unpacked, /nonexistent cannot be written: set TMPDIR to a directory that can be written and executed from',
    )
  })

  test('that is not for this machine names the machine, and no path of ours', async () => {
    expect(await explainMissing(error)).toBe(
      `its native code does not load on ${process.platform}-${process.arch}: quic-1.node: cannot open shared object file`,
    )
  })
})

test('a temporary directory is left as it was', async () => {
  const path = await mkdtemp(join(tmpdir(), 'kitsune-temp-'))
  expect(await lookAtTempDir(path)).toEqual({ path })
  expect(await readdir(path)).toEqual([])
  await rm(path, { recursive: true })
  expect(await lookAtTempDir(path)).toEqual({ path, fault: 'not-writable' })
})

describe('who has a port', () => {
  const here = expect.stringMatching(new RegExp(`^\\S.* \\(pid ${process.pid}\\)$`))

  test.skipIf(process.platform !== 'linux')('of TCP, if it listens, on either family', async () => {
    for (const host of ['127.0.0.1', '::1']) {
      const server = createServer().listen(0, host)
      await once(server, 'listening')
      const { port } = server.address() as AddressInfo
      expect(await holderOfPort('tcp', port)).toEqual(here)
      expect(await explainClosed(door(`/ip4/127.0.0.1/tcp/${port}`), new Error('EADDRINUSE'))).toStartWith(
        'another address of KITSUNE_LISTEN has the port',
      )
      server.close()
      await once(server, 'close')
      expect(await holderOfPort('tcp', port)).toBeUndefined()
    }
  })

  test.skipIf(process.platform !== 'linux')('of UDP', async () => {
    const socket = createSocket('udp4').bind(0, '127.0.0.1')
    await once(socket, 'listening')
    const { port } = socket.address()
    expect(await holderOfPort('udp', port)).toEqual(here)
    socket.close()
  })
})
