import { afterAll, beforeAll } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { webRTCDirect } from '@libp2p/webrtc'
import { testDoor } from './door-compliance.ts'

let dataDir: string
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'kitsune-doors-'))
})
afterAll(async () => {
  await rm(dataDir, { recursive: true, force: true })
})

testDoor(
  'webrtc-direct',
  '/ip4/127.0.0.1/udp/0/webrtc-direct',
  webRTCDirect({ rtcConfiguration: { iceServers: [] } }),
  () => ({
    keeping: { dataDir, warn() {} },
  }),
)
