import { beforeAll, describe, expect, test } from 'bun:test'
import { readCertificatePair } from '#src/p2p/web/certificate-pair.ts'
import { describeError, KitsuneError } from '#src/util/errors.ts'
import { makeAuthority, type TestAuthority, type TestCertificate } from '#test/support/certificates.ts'

const dayMs = 24 * 3_600_000
let authority: TestAuthority
let first: TestCertificate
let second: TestCertificate
beforeAll(async () => {
  authority = await makeAuthority()
  first = await authority.issue(['node0.test', '*.node0.test', '192.0.2.1'])
  second = await authority.issue(['node1.test', 'node0.test'])
})

describe('a pair', () => {
  test('says whom it is for and until when', async () => {
    const pair = readCertificatePair(first.cert, first.key, Date.now())
    expect(pair.names).toEqual(['node0.test', '*.node0.test', '192.0.2.1'])
    expect(pair.notAfterMs - Date.now()).toBeWithin(29.9 * dayMs, 30 * dayMs)
  })

  test('is told from one with the same certificate and another chain', () => {
    const now = Date.now()
    const alone = first.cert.slice(0, first.cert.indexOf('-----END') + 25)
    const digest = readCertificatePair(first.cert, first.key, now).digest
    expect(readCertificatePair(alone, first.key, now).digest).not.toBe(digest)
    expect(readCertificatePair(first.cert, first.key, now).digest).toBe(digest)
  })

  test.each([
    ['another key', () => [first.cert, second.key], 'mismatch'],
    ['the chain before the certificate', () => [`${authority.cert}\n${first.cert}`, first.key], 'mismatch'],
    ['no certificate', () => ['', first.key], 'no-certificate'],
    ['a key in place of the certificate', () => [first.key, first.key], 'no-certificate'],
    ['half a certificate', () => [first.cert.slice(0, 300), first.key], 'no-certificate'],
    ['no key', () => [first.cert, ''], 'no-key'],
    ['half a key', () => [first.cert, first.key.slice(0, 100)], 'no-key'],
  ])('with %s is refused', (_what, texts, fault) => {
    const [cert = '', key = ''] = texts()
    try {
      readCertificatePair(cert, key, Date.now())
      throw new Error('was taken')
    } catch (error) {
      expect(error).toBeInstanceOf(KitsuneError)
      expect((error as KitsuneError).facts).toMatchObject({ fault })
      expect(describeError(error)).not.toContain('PRIVATE KEY')
    }
  })

  test.each([
    ['expired', 31],
    ['not-yet-valid', -1],
  ])('that is %s is refused', (fault, days) => {
    expect(() => readCertificatePair(first.cert, first.key, Date.now() + days * dayMs)).toThrow(
      expect.objectContaining({ facts: expect.objectContaining({ fault }) }),
    )
  })
})
