import { expect, test } from 'bun:test'
import { X509Certificate } from 'node:crypto'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import 'reflect-metadata'
import { generateCertificate, verifyPeerCertificate } from '@libp2p/tls/utils'
import { makeCertificate, provenPeer } from '#src/p2p/peer-tls/peer-certificate.ts'

const dayMs = 86_400_000

async function made(key: PrivateKey, nowMs?: number): Promise<Uint8Array> {
  return new X509Certificate((await makeCertificate(key, nowMs)).cert).raw
}

test.each(['Ed25519', 'RSA', 'secp256k1'] as const)(
  'the library takes ours of %s keys, and we its',
  async (type) => {
    const key = await generateKeyPair(type as 'Ed25519')
    const peer = peerIdFromPrivateKey(key).toString()
    expect((await verifyPeerCertificate(await made(key))).toString()).toBe(peer)
    expect((await provenPeer(await made(key))).toString()).toBe(peer)
    const theirs = new X509Certificate((await generateCertificate(key)).cert).raw
    expect((await provenPeer(theirs)).toString()).toBe(peer)
  },
)

test('no two are alike, and all can be read back', async () => {
  const key = await generateKeyPair('Ed25519')
  const serials = new Set<string>()
  for (let i = 0; i < 200; i++) {
    const { serialNumber, subject } = new X509Certificate((await makeCertificate(key)).cert)
    expect(subject.toLowerCase()).toContain(serialNumber.toLowerCase())
    serials.add(serialNumber)
  }
  expect(serials.size).toBe(200)
})

test('it holds from an hour ago for decades, and not before or after', async () => {
  const key = await generateKeyPair('Ed25519')
  const nowMs = Date.parse('2026-11-24T12:00:00Z')
  const certificate = await made(key, nowMs)
  await provenPeer(certificate, nowMs - dayMs / 25)
  await provenPeer(certificate, nowMs + 40 * 365 * dayMs)
  await expect(provenPeer(certificate, nowMs - dayMs)).rejects.toThrow('not valid yet')
  await expect(provenPeer(certificate, nowMs + 51 * 365 * dayMs)).rejects.toThrow('expired')
})

test('a certificate whose key another peer has signed proves nothing', async () => {
  const [key, other] = [await generateKeyPair('Ed25519'), await generateKeyPair('Ed25519')]
  const forged = { type: key.type, publicKey: key.publicKey, sign: other.sign.bind(other) } as PrivateKey
  await expect(provenPeer(await made(forged))).rejects.toThrow('signed by somebody else')
})

test('none at all, one of the web, and one that is cut off are refused', async () => {
  await expect(provenPeer(undefined)).rejects.toThrow('there is no certificate')
  const certificate = await made(await generateKeyPair('Ed25519'))
  await expect(provenPeer(certificate.subarray(0, 200))).rejects.toThrow()
  // The object identifier of the extension is another one: what is left is a plain certificate.
  const plain = Buffer.from(certificate)
  plain[plain.indexOf(Buffer.from('83a25a0101', 'hex')) + 4] = 2
  await expect(provenPeer(plain)).rejects.toThrow()
})

test('no byte of it can be changed', async () => {
  const key = await generateKeyPair('Ed25519')
  const certificate = await made(key)
  let taken = 0
  for (let at = 0; at < certificate.length; at++) {
    const changed = Buffer.from(certificate)
    changed[at] = (changed[at] as number) ^ (1 << (at % 8))
    await provenPeer(changed).then(
      () => taken++,
      (error) => expect(error).toBeInstanceOf(Error),
    )
  }
  expect(taken).toBe(0)
})
