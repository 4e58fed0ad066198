import { afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { mkdir, mkdtemp, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Certificates } from '#src/p2p/web/certificates.ts'
import { describeError } from '#src/util/errors.ts'
import {
  makeAuthority,
  type TestAuthority,
  type TestCertificate,
  writeCertificate,
} from '#test/support/certificates.ts'
import { until } from '#test/unit/p2p/front-under-test.ts'

const dayMs = 24 * 3_600_000
let authority: TestAuthority
let first: TestCertificate
let second: TestCertificate
beforeAll(async () => {
  authority = await makeAuthority()
  first = await authority.issue(['node0.test', '*.node0.test', '192.0.2.1'])
  second = await authority.issue(['node1.test', 'node0.test'])
})

const stops: Array<() => unknown> = []
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

async function directory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'kitsune-tls-'))
  stops.push(() => rm(path, { recursive: true, force: true }))
  return path
}

interface Line {
  readonly level: string
  readonly message: string
  readonly [field: string]: unknown
}

function watched(paths: { certFile: string; keyFile: string }[], now?: () => number) {
  const lines: Line[] = []
  const note = (level: string) => (fields: object, message: string) =>
    lines.push({ level, message, ...fields })
  const log = { info: note('info'), warn: note('warn'), error: note('error') } as never
  const certificates = new Certificates(paths, log, { pollMs: 10, ...(now && { now }) })
  stops.push(() => certificates.stop())
  return { certificates, lines }
}

/** Lets so many looks at the files pass. */
const looks = (count: number) => new Promise((resolve) => setTimeout(resolve, count * 15))

describe('certificates', () => {
  test('are chosen by name, by wildcard, and else the first one is', async () => {
    const at = await directory()
    const paths = [await writeCertificate(at, 'a', first), await writeCertificate(at, 'b', second)]
    const { certificates } = watched(paths)
    await certificates.load()
    const [a, b] = [certificates.contextFor(undefined), certificates.contextFor('node1.test')]
    expect(a).not.toBe(b)
    expect(certificates.names).toEqual(['node0.test', '*.node0.test', '192.0.2.1', 'node1.test'])
    const chosen = (name: string) => (certificates.contextFor(name) === b ? 'b' : 'a')
    const names = ['node0.test', 'x.node0.test', 'NODE1.test', 'node1.test.', 'x.node1.test', 'test', '', '*']
    expect(names.map(chosen)).toEqual(['a', 'a', 'b', 'b', 'a', 'a', 'a', 'a'])
  })

  test('that cannot be used are all named, with what is wrong', async () => {
    const at = await directory()
    const mixed = await writeCertificate(at, 'mixed', { cert: first.cert, key: second.key })
    const { certificates } = watched([mixed, { certFile: join(at, 'none'), keyFile: mixed.keyFile }])
    const reason = describeError(await certificates.load().catch((error) => error))
    expect(reason).toContain(`${mixed.keyFile} is not the key of the certificate`)
    expect(reason).toContain('ENOENT')
  })

  const ways: [
    string,
    (at: string) => Promise<{ paths: { certFile: string; keyFile: string }; swap: () => Promise<unknown> }>,
  ][] = [
    [
      'rewritten in place',
      async (at) => {
        const paths = await writeCertificate(at, 'live', first)
        return { paths, swap: () => writeCertificate(at, 'live', second) }
      },
    ],
    [
      'renamed over, the key long before the certificate',
      async (at) => {
        const paths = await writeCertificate(at, 'live', first)
        const next = await writeCertificate(at, 'next', second)
        return {
          paths,
          swap: async () => {
            await rename(next.keyFile, paths.keyFile)
            await looks(10)
            await rename(next.certFile, paths.certFile)
          },
        }
      },
    ],
    [
      'links that are swapped, as certbot does',
      async (at) => {
        await writeCertificate(at, 'cert1', first)
        await writeCertificate(at, 'cert2', second)
        const link = async (from: string, to: string) => {
          await symlink(to, join(at, 'link'))
          await rename(join(at, 'link'), join(at, from))
        }
        await link('live.crt', 'cert1.crt')
        await link('live.key', 'cert1.key')
        return {
          paths: { certFile: join(at, 'live.crt'), keyFile: join(at, 'live.key') },
          swap: async () => {
            await link('live.crt', 'cert2.crt')
            await link('live.key', 'cert2.key')
          },
        }
      },
    ],
    [
      'in a directory behind ..data, as Kubernetes does',
      async (at) => {
        for (const [name, pair] of [
          ['one', first],
          ['two', second],
        ] as const) {
          await mkdir(join(at, name))
          await writeCertificate(join(at, name), 'tls', pair)
        }
        await symlink('one', join(at, '..data'))
        for (const file of ['tls.crt', 'tls.key']) await symlink(join('..data', file), join(at, file))
        return {
          paths: { certFile: join(at, 'tls.crt'), keyFile: join(at, 'tls.key') },
          swap: async () => {
            await symlink('two', join(at, '..data_tmp'))
            await rename(join(at, '..data_tmp'), join(at, '..data'))
          },
        }
      },
    ],
  ]
  test.each(ways)('%s are taken', async (_way, prepare) => {
    const { paths, swap } = await prepare(await directory())
    const { certificates, lines } = watched([paths])
    await certificates.load()
    const before = certificates.contextFor(undefined)
    await swap()
    await until(() => certificates.reloads.taken === 1)
    expect(certificates.contextFor('node1.test')).not.toBe(before)
    expect(certificates.status.map(({ name }) => name)).toEqual(['node1.test'])
    expect(lines.at(-1)).toMatchObject({ level: 'info', names: ['node1.test', 'node0.test'] })
    await looks(5)
    expect(certificates.reloads.taken).toBe(1)
  })

  test('that do not fit together leave the old ones, say so once, and are taken when they do', async () => {
    const paths = await writeCertificate(await directory(), 'live', first)
    const { certificates, lines } = watched([paths])
    await certificates.load()
    const before = certificates.contextFor(undefined)
    await writeFile(paths.keyFile, second.key)
    await until(() => certificates.reloads.refused === 1)
    await looks(10)
    expect(lines.filter(({ level }) => level === 'warn')).toHaveLength(1)
    expect(lines[0]?.reason).toContain(`${paths.keyFile} is not the key`)
    await truncate(paths.certFile, 0)
    await until(() => certificates.reloads.refused === 2)
    await rm(paths.certFile)
    await until(() => certificates.reloads.refused === 3)
    expect(certificates.contextFor(undefined)).toBe(before)
    await writeFile(paths.certFile, second.cert)
    await until(() => certificates.reloads.taken === 1)
    expect(certificates.contextFor(undefined)).not.toBe(before)
  })

  test('that are not there at first are ready when all of them are', async () => {
    const at = await directory()
    const paths = ['a', 'b'].map((name) => ({
      certFile: join(at, `${name}.crt`),
      keyFile: join(at, `${name}.key`),
    }))
    const { certificates } = watched(paths)
    let ready = false
    certificates.ready.then(() => {
      ready = true
    })
    await expect(certificates.load()).rejects.toThrow('ENOENT')
    await writeCertificate(at, 'a', first)
    await until(() => certificates.reloads.taken === 1)
    await looks(5)
    expect(ready).toBe(false)
    await writeCertificate(at, 'b', second)
    await until(() => ready)
    await certificates.load()
    expect(certificates.names).toContain('node1.test')
  })

  test('that are being written are not taken half', async () => {
    const paths = await writeCertificate(await directory(), 'live', first)
    const { certificates } = watched([paths])
    await certificates.load()
    const before = certificates.contextFor(undefined)
    // The certificate is whole from the first, its chain is not.
    const leafEnd = first.cert.indexOf('-----END') + 25
    for (let end = leafEnd; end < first.cert.length; end += 40) {
      await writeFile(paths.certFile, first.cert.slice(0, end))
      await new Promise((resolve) => setTimeout(resolve, 4))
    }
    await writeFile(paths.certFile, first.cert)
    await looks(6)
    expect(certificates.contextFor(undefined)).toBe(before)
    expect(certificates.reloads).toEqual({ taken: 0, refused: 0 })
  })

  test('that end are warned of at 14, 7, 3, 1 and 0 days, once each', async () => {
    let now = Date.now()
    const paths = await writeCertificate(await directory(), 'live', first)
    const { certificates, lines } = watched([paths], () => now)
    await certificates.load()
    for (let day = 0; day < 32; day++) {
      await looks(2)
      now += dayMs
    }
    await until(() => lines.length >= 5)
    expect(lines.map(({ level, days }) => [level, days])).toEqual([
      ['warn', 13],
      ['warn', 6],
      ['warn', 2],
      ['warn', 0],
      ['error', undefined],
    ])
    await writeFile(paths.certFile, second.cert)
    await writeFile(paths.keyFile, second.key)
    now = Date.now()
    await until(() => certificates.reloads.taken === 1)
    now += 29.5 * dayMs
    await until(() => lines.at(-1)?.days === 0)
  })

  test('that are valid for a few days only are not warned of as soon as they are new', async () => {
    let now = Date.now()
    const short = await authority.issue(['node0.test'], { until: new Date(now + 6 * dayMs) })
    const { certificates, lines } = watched(
      [await writeCertificate(await directory(), 'live', short)],
      () => now,
    )
    await certificates.load()
    now += 2.5 * dayMs
    await looks(4)
    expect(lines).toEqual([])
    now += 0.6 * dayMs
    await until(() => lines.length === 1)
    expect(lines[0]).toMatchObject({ level: 'warn', days: 2 })
  })

  test('that come after the end are not taken any more', async () => {
    const at = await directory()
    let isRead = false
    const { certificates } = watched([{ certFile: join(at, 'a.crt'), keyFile: join(at, 'a.key') }], () => {
      // It is asked for the time when the files have been read.
      isRead = true
      certificates.stop()
      return Date.now()
    })
    await expect(certificates.load()).rejects.toThrow('ENOENT')
    await writeCertificate(at, 'a', first)
    await until(() => isRead)
    await looks(2)
    expect(certificates.names).toEqual([])
  })
})
