import { afterAll, describe, expect, test } from 'bun:test'
import { generateKeyPairSync } from 'node:crypto'
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { privateKeyToProtobuf, publicKeyToProtobuf } from '@libp2p/crypto/keys'
import {
  createKey,
  keyTypes,
  laneKey,
  loadIdentity,
  loadLaneSeed,
  peerIdToBase36,
  saveKey,
} from '#src/p2p/identity.ts'
import { keyToBase64, parseKey } from '#src/p2p/key-format.ts'
import { KitsuneError } from '#src/util/errors.ts'

const room = await mkdtemp(join(tmpdir(), 'kitsune-identity-'))
afterAll(() => rm(room, { recursive: true }))
let rooms = 0
const fresh = () => join(room, `case-${++rooms}`)

const bytes = (text: string) => new TextEncoder().encode(text)
const hex = (value: Uint8Array) => Buffer.from(value).toString('hex')

/** The test vectors of the libp2p specification (peer-ids): private and public key as protobuf. */
const specification = {
  Ed25519: [
    '080112407e0830617c4a7de83925dfb2694556b12936c477a0e1feb2e148ec9da60fee7d1ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e',
    '080112201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e',
  ],
  secp256k1: [
    '0802122053dadf1d5a164d6b4acdb15e24aa4c5b1d3461bdbd42abedb0a4404d56ced8fb',
    '08021221037777e994e452c21604f91de093ce415f5432f701dd8cd1a7a6fea0e630bfca99',
  ],
} as const

/** Made by OpenSSL 3 for this test. */
const ed25519Pem = `-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIMQByslwdyagTG8eBOE8bZ8Q4FSo2mKGwLQvOHcBs5IG
-----END PRIVATE KEY-----`
const secp256k1Pem = `-----BEGIN PRIVATE KEY-----
MIGEAgEAMBAGByqGSM49AgEGBSuBBAAKBG0wawIBAQQgjsA2MXeekkEMPmze5AP+
to6hP0KMIWto1AgDckNIMQ6hRANCAAQm9B7w1fjJx4/xwRFn3PK4mwrRLi75sLur
ZLhSq9YKC1FGUv5K7zQgN4i0bzcPBcvhCKrZicMFqkyiM8smDIeu
-----END PRIVATE KEY-----`

async function failure(work: Promise<unknown>): Promise<KitsuneError> {
  try {
    await work
  } catch (error) {
    if (error instanceof KitsuneError) return error
    throw error
  }
  throw new Error('did not fail')
}

describe('parsing', () => {
  test.each(['Ed25519', 'secp256k1'] as const)('%s of the specification, raw and in base64', async (type) => {
    const [secret, open] = specification[type]
    const raw = Buffer.from(secret, 'hex')
    for (const form of [raw, bytes(raw.toString('base64')), bytes(`\n${raw.toString('base64')}\n`)]) {
      const key = await parseKey(form)
      expect(key.type).toBe(type)
      expect(hex(publicKeyToProtobuf(key.publicKey))).toBe(open)
    }
  })

  test.each(keyTypes)('%s, made here, in every form', async (type) => {
    const key = await createKey(type)
    const kubo = JSON.stringify({ Identity: { PeerID: 'x', PrivKey: keyToBase64(key) }, Datastore: {} })
    for (const form of [privateKeyToProtobuf(key), bytes(keyToBase64(key)), bytes(kubo)]) {
      expect((await parseKey(form)).equals(key)).toBe(true)
    }
  })

  test('PEM of each type', async () => {
    const ed25519 = await parseKey(bytes(ed25519Pem))
    expect(ed25519.publicKey.toString()).toBe('12D3KooWEG1kDXZsRjf4PJr33Z6BDsD91T4CeSFjWagwqwazWwiK')
    const secp256k1 = await parseKey(bytes(secp256k1Pem))
    expect(secp256k1.publicKey.toString()).toBe('16Uiu2HAkx3jNfDDMTPhmqkBKcyY67uNpkDtEei5BWckj7rqQ3pLa')
    for (const type of ['pkcs8', 'pkcs1'] as const) {
      const { privateKey, publicKey } = generateKeyPairSync('rsa', {
        modulusLength: 2048,
        privateKeyEncoding: { type, format: 'pem' },
        publicKeyEncoding: { type: 'spki', format: 'der' },
      })
      const rsa = await parseKey(bytes(privateKey))
      expect(rsa.publicKey.toString()).toMatch(/^Qm/)
      expect(hex(rsa.publicKey.raw)).toBe(hex(publicKey))
    }
  })

  const ecPem = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  }).privateKey
  const body = (text: string, label = 'PRIVATE KEY') =>
    `-----BEGIN ${label}-----\n${text}\n-----END ${label}-----`

  test.each([
    ['nothing', '', 'empty'],
    ['white space', ' \n', 'empty'],
    ['words', 'hello world', 'no libp2p private key'],
    [
      'a cut protobuf',
      Buffer.from(specification.Ed25519[0].slice(0, 40), 'hex').toString('base64'),
      'no libp2p',
    ],
    ['a public key', Buffer.from(specification.Ed25519[1], 'hex').toString('base64'), 'no libp2p'],
    ['JSON that is cut', '{"Identity":', 'not JSON'],
    ['JSON of something else', '{"a":1}', 'Identity.PrivKey'],
    ['a null identity', '{"Identity":null}', 'Identity.PrivKey'],
    ['a Kubo config with a broken key', '{"Identity":{"PrivKey":"AAAA"}}', 'no libp2p'],
    ['an encrypted PEM', body('AAAA', 'ENCRYPTED PRIVATE KEY'), 'encrypted'],
    ['an OpenSSH key', body('AAAA', 'OPENSSH PRIVATE KEY'), 'openssl pkcs8'],
    ['a certificate', body('AAAA', 'CERTIFICATE'), '"CERTIFICATE"'],
    ['a PEM that is cut', ed25519Pem.slice(0, 60), 'cut off'],
    ['a PEM with too little in it', body(Buffer.from('3003020100', 'hex').toString('base64')), 'cut off'],
    ['a PEM that promises more', body(Buffer.from('30840000ffff', 'hex').toString('base64')), 'no DER'],
    ['another curve', ecPem, 'neither RSA'],
  ])('%s is refused with a reason and what is expected', async (_, text, reason) => {
    const error = await failure(parseKey(bytes(text)))
    expect(error.code).toBe('KEY_UNREADABLE')
    expect(String(error.facts.reason)).toContain(reason)
    expect(String(error.facts.hint)).toContain('protobuf')
  })

  test('a key whose halves do not belong together is found', async () => {
    const raw = Buffer.from(specification.Ed25519[0], 'hex')
    raw[raw.byteLength - 1]! ^= 1
    expect((await failure(parseKey(raw))).code).toBe('KEY_UNREADABLE')
  })

  test('an error quotes nothing of the key', async () => {
    const error = await failure(parseKey(bytes('{"Identity":{"PrivKey":"hunter2"}, oops')))
    expect(JSON.stringify([error.message, error.facts, String(error.cause)])).not.toContain('hunter2')
  })
})

describe('the identity', () => {
  test('is made once, for the owner alone, and found again', async () => {
    const path = join(fresh(), 'deep', 'identity.key')
    const first = await loadIdentity({ kind: 'created', path })
    expect(first).toMatchObject({ created: true, origin: path, warnings: [] })
    expect(first.privateKey.type).toBe('Ed25519')
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    const second = await loadIdentity({ kind: 'created', path })
    expect(second.created).toBe(false)
    expect(second.peerId.equals(first.peerId)).toBe(true)
    expect(await readdir(join(path, '..'))).toEqual(['identity.key'])
  })

  test('is one, however many processes start at once', async () => {
    const path = join(fresh(), 'identity.key')
    const all = await Promise.all(Array.from({ length: 8 }, () => loadIdentity({ kind: 'created', path })))
    expect(new Set(all.map(({ peerId }) => peerId.toString())).size).toBe(1)
    expect(all.filter(({ created }) => created).length).toBe(1)
  })

  test('comes from the environment', async () => {
    const key = await createKey('secp256k1')
    const identity = await loadIdentity({ kind: 'inline', value: keyToBase64(key) })
    expect(identity.privateKey.equals(key)).toBe(true)
    expect(identity.origin).toBe('KITSUNE_KEY')
    expect((await loadIdentity({ kind: 'inline', value: ed25519Pem })).peerId.toString()).toBe(
      '12D3KooWEG1kDXZsRjf4PJr33Z6BDsD91T4CeSFjWagwqwazWwiK',
    )
  })

  test('has its peer ID in both forms', async () => {
    const { peerId } = await loadIdentity({ kind: 'inline', value: ed25519Pem })
    expect(peerId.toString()).toMatch(/^12D3KooW/)
    expect(peerIdToBase36(peerId)).toMatch(/^k51/)
  })

  test('that others can read is used with a warning', async () => {
    const path = fresh()
    await saveKey(path, await createKey('ed25519'))
    await chmod(path, 0o644)
    const { warnings } = await loadIdentity({ kind: 'file', path })
    expect(warnings).toEqual([`${path} can be read by others (mode 644); run: chmod 600 ${path}`])
  })

  test('that is missing, empty, a directory or huge is an error that says so', async () => {
    const missing = await failure(loadIdentity({ kind: 'file', path: fresh() }))
    expect(missing.code).toBe('KEY_FILE_MISSING')
    const path = fresh()
    await writeFile(path, '')
    const empty = await failure(loadIdentity({ kind: 'created', path }))
    expect(empty).toMatchObject({ code: 'KEY_UNREADABLE', facts: { origin: path, reason: 'it is empty' } })
    expect((await failure(loadIdentity({ kind: 'file', path: room }))).code).toBe('SECRET_FILE_UNREADABLE')
    await writeFile(path, new Uint8Array(1024 ** 2 + 1))
    expect((await failure(loadIdentity({ kind: 'file', path }))).code).toBe('SECRET_FILE_TOO_LARGE')
  })

  test('cannot be kept where nothing can be written', async () => {
    const file = fresh()
    await writeFile(file, '')
    const error = await failure(saveKey(join(file, 'sub', 'identity.key'), await createKey('ed25519')))
    expect(error.code).toBe('DIRECTORY_NOT_WRITABLE')
    expect(String(error.facts.hint)).toContain('KITSUNE_DATA_DIR')
  })

  test('is never written over', async () => {
    const path = fresh()
    await writeFile(path, 'precious')
    expect((await failure(saveKey(path, await createKey('ed25519')))).code).toBe('KEY_FILE_EXISTS')
    expect(await readFile(path, 'utf8')).toBe('precious')
  })
})

describe('lanes', () => {
  test('keep their identities over restarts, each its own', async () => {
    const dataDir = fresh()
    const seed = await loadLaneSeed(dataDir)
    expect(seed.byteLength).toBe(32)
    expect((await stat(join(dataDir, 'lanes.seed'))).mode & 0o777).toBe(0o600)
    const again = await loadLaneSeed(dataDir)
    const peers = new Set<string>()
    for (let lane = 0; lane < 4; lane++) {
      const peer = (await laneKey(seed, lane)).publicKey.toString()
      expect((await laneKey(again, lane)).publicKey.toString()).toBe(peer)
      peers.add(peer)
    }
    expect(peers.size).toBe(4)
    expect(hex(await loadLaneSeed(fresh()))).not.toBe(hex(seed))
  })

  test('follow from the seed in a way that stays', async () => {
    const peer = (await laneKey(new Uint8Array(32), 0)).publicKey.toString()
    expect(peer).toBe('12D3KooWEEDqSX1dBf4AnwpXoVNccGW7MTJdGyqE8MD2rPAJNBpF')
  })

  test('with a damaged seed do not start', async () => {
    const dataDir = fresh()
    await loadLaneSeed(dataDir)
    await writeFile(join(dataDir, 'lanes.seed'), 'short')
    expect((await failure(loadLaneSeed(dataDir))).code).toBe('LANE_SEED_DAMAGED')
  })
})
