import { afterEach, expect, test } from 'bun:test'
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { keptCertificate } from '#src/p2p/webrtc/certificate.ts'

const yearMs = 365 * 24 * 60 * 60_000
const directories: string[] = []
afterEach(async () => {
  for (const directory of directories.splice(0)) await rm(directory, { recursive: true, force: true })
})

async function keeping() {
  const dataDir = await mkdtemp(join(tmpdir(), 'kitsune-webrtc-'))
  directories.push(dataDir)
  const warnings: string[] = []
  return { dataDir, warnings, warn: (message: string) => warnings.push(message) }
}

test('it is made once, for the owner alone, and stays', async () => {
  const kept = await keeping()
  const [first, same] = await Promise.all([
    keptCertificate(kept, Date.now()),
    keptCertificate(kept, Date.now()),
  ])
  expect(same.hashText).toBe(first.hashText)
  expect((await keptCertificate(kept, Date.now() + 8 * yearMs)).hashText).toBe(first.hashText)
  expect((await stat(join(kept.dataDir, 'webrtc-direct.pem'))).mode & 0o777).toBe(0o600)
  expect(first.hashText).toMatch(/^uEi/)
  expect(kept.warnings).toEqual([])
})

test('in its last year it is renewed, and that is said', async () => {
  const kept = await keeping()
  const first = await keptCertificate(kept, Date.now())
  const later = Date.now() + 9.5 * yearMs
  const second = await keptCertificate(kept, later)
  expect(second.hashText).not.toBe(first.hashText)
  expect(kept.warnings).toHaveLength(1)
  expect((await keptCertificate(kept, later)).hashText).toBe(second.hashText)
  expect(await readdir(kept.dataDir)).toHaveLength(2)
})

test('one that is broken is named and left alone', async () => {
  const kept = await keeping()
  const path = join(kept.dataDir, 'webrtc-direct.pem')
  await writeFile(path, 'nonsense', { mode: 0o600 })
  const error = await keptCertificate(kept, Date.now()).catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ code: 'WEBRTC_CERTIFICATE_BROKEN', facts: { path } })
  expect(await Bun.file(path).text()).toBe('nonsense')
})
