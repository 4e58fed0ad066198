import { afterEach, beforeEach, expect, test } from 'bun:test'
import { X509Certificate } from 'node:crypto'
import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  rmdir,
  stat,
  symlink,
  unlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { clockSkewMs, makeCertificate, readCertificate, validMs } from '#src/p2p/webtransport/certificate.ts'
import { Certificates } from '#src/p2p/webtransport/certificates.ts'

const hourMs = 60 * 60_000
const begin = Date.parse('2026-11-24T12:00:00Z')

let directory: string
let nowMs: number
let warnings: { message: string; facts: Readonly<Record<string, unknown>> }[]

beforeEach(async () => {
  directory = join(await mkdtemp(join(tmpdir(), 'kitsune-wt-')), 'webtransport')
  nowMs = begin
  warnings = []
})
afterEach(() => rm(join(directory, '..'), { recursive: true, force: true }))

async function opened(): Promise<Certificates> {
  const certificates = new Certificates({
    directory,
    now: () => nowMs,
    warn: (message, facts) => warnings.push({ message, facts }),
  })
  await certificates.update()
  return certificates
}

test('a certificate is what browsers take by its hash: P-256, signed by itself, two weeks at most', async () => {
  const pem = await makeCertificate(begin)
  const { startMs, endMs, hash } = await readCertificate(pem)
  expect([startMs, endMs - startMs]).toEqual([begin, validMs - 1_000])
  const certificate = new X509Certificate(pem)
  expect(certificate.publicKey.asymmetricKeyDetails?.namedCurve).toBe('prime256v1')
  expect(certificate.verify(certificate.publicKey)).toBe(true)
  expect(Buffer.from(hash.subarray(2)).toString('hex')).toBe(
    certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
  )
})

test('the first start makes two, for the owner alone; a second start has the same', async () => {
  const first = await opened()
  const files = await readdir(directory)
  expect(files).toHaveLength(2)
  for (const file of files) expect((await stat(join(directory, file))).mode & 0o777).toBe(0o600)
  expect(first.suffix).toMatch(/^\/certhash\/uEi\w[\w-]+\/certhash\/uEi\w[\w-]+$/)
  nowMs += 5 * 24 * hourMs
  const second = await opened()
  expect([second.suffix, second.hashes]).toEqual([first.suffix, first.hashes])
  expect(warnings).toEqual([])
})

test('at any time the one in use is valid for a clock that is an hour wrong, and an address lives for two weeks', async () => {
  const certificates = await opened()
  const handedOut: { atMs: number; suffix: string }[] = []
  for (; nowMs < begin + 60 * 24 * hourMs; nowMs += 5 * hourMs) {
    await certificates.update()
    const { startMs, endMs, hashText } = certificates.current
    expect(startMs <= nowMs - clockSkewMs && nowMs + clockSkewMs / 2 < endMs).toBe(true)
    expect(certificates.rollAtMs).toBeGreaterThan(nowMs)
    handedOut.push({ atMs: nowMs, suffix: certificates.suffix })
    const young = handedOut.filter(({ atMs }) => atMs >= nowMs - validMs + 3 * hourMs)
    for (const { suffix } of young) expect(suffix).toContain(hashText)
    // A client refuses who does not own up to every hash of the address that it dialled.
    const told = certificates.hashes.map((hash) => Buffer.from(hash).toString('base64url'))
    for (const { suffix } of young) {
      for (const [, hash = ''] of suffix.matchAll(/\/certhash\/u([^/]+)/g)) expect(told).toContain(hash)
    }
  }
  expect(certificates.hashes.length).toBeLessThanOrEqual(5)
  expect(await readdir(directory)).toHaveLength(certificates.hashes.length)
})

test('who comes back after months begins anew', async () => {
  const { suffix } = await opened()
  nowMs += 200 * 24 * hourMs
  const later = await opened()
  expect(later.suffix).not.toBe(suffix)
  expect(await readdir(directory)).toHaveLength(2)
})

test('what is broken is put aside and replaced, and said', async () => {
  const before = await opened()
  await writeFile(before.next.path, 'no certificate')
  const after = await opened()
  expect(after.current.hashText).toBe(before.current.hashText)
  expect(after.next.path).toBe(before.next.path)
  expect(after.next.hashText).not.toBe(before.next.hashText)
  expect(await readFile(`${before.next.path}.broken`, 'utf8')).toBe('no certificate')
  expect(warnings.map(({ facts }) => facts.path)).toEqual([before.next.path])
})

test('what cannot be read now is not put aside', async () => {
  const { suffix, current } = await opened()
  // Root may read everything that is no directory.
  await rename(current.path, `${current.path}.away`)
  await mkdir(current.path)
  await expect(opened()).rejects.toThrow('cannot be read')
  await rmdir(current.path)
  await rename(`${current.path}.away`, current.path)
  expect((await opened()).suffix).toBe(suffix)
  expect(warnings).toEqual([])
})

test('where no more can be kept, the next one is served nevertheless when it is due', async () => {
  const certificates = await opened()
  const { next, rollAtMs } = certificates
  // A link to nowhere can neither be read nor replaced.
  nowMs = rollAtMs
  await symlink(
    join(directory, 'nowhere'),
    join(directory, `${(next.startMs + validMs - 2 * clockSkewMs) / 1_000}.pem`),
  )
  await expect(certificates.update()).rejects.toThrow()
  expect(certificates.current.path).toBe(next.path)
  expect(certificates.suffix).toBe(`/certhash/${next.hashText}`)
  await unlink(join(directory, `${(next.startMs + validMs - 2 * clockSkewMs) / 1_000}.pem`))
  await certificates.update()
  expect(certificates.suffix).toStartWith(`/certhash/${next.hashText}/certhash/`)
})

test('a clock that goes back a month, and is put right: what was announced before leads here again', async () => {
  const { current } = await opened()
  nowMs -= 30 * 24 * hourMs
  const meanwhile = (await opened()).current
  expect(meanwhile.startMs < nowMs && nowMs < meanwhile.endMs).toBe(true)
  nowMs = begin
  expect((await opened()).current.hashText).toBe(current.hashText)
})

test('a key of another certificate is as good as none', async () => {
  const [one, other] = await Promise.all([makeCertificate(begin), makeCertificate(begin)])
  const mixed = `${one.split('-----BEGIN PRIVATE')[0]}-----BEGIN PRIVATE${other.split('-----BEGIN PRIVATE')[1]}`
  await expect(readCertificate(mixed)).rejects.toThrow('the key is not')
  await expect(readCertificate('')).rejects.toThrow()
})

test('two processes that start together end with the same', async () => {
  const [one, other] = await Promise.all([opened(), opened()])
  expect(one.suffix).toBe(other.suffix)
})

test('a key that others can read is said', async () => {
  const { current } = await opened()
  await chmod(current.path, 0o644)
  await opened()
  expect(warnings.map(({ message }) => message)).toEqual([expect.stringContaining('can be read by others')])
})
