import 'reflect-metadata'
import { afterAll, beforeAll } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { webRTCDirect } from '@libp2p/webrtc'
import { cryptoProvider } from '@peculiar/x509'
import { testDoor } from './door-compliance.ts'

/** In a file of its own: the library has certificates made by other means, of which those of the runtime take nothing. */
let dataDir: string
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'kitsune-doors-'))
})
afterAll(async () => {
  cryptoProvider.set(crypto)
  await rm(dataDir, { recursive: true, force: true })
})

testDoor('webrtc-direct', '/ip4/127.0.0.1/udp/0/webrtc-direct', webRTCDirect(), () => ({
  keeping: { dataDir, warn() {} },
}))
