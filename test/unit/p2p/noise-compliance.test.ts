import { defaultLogger } from '@libp2p/logger'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { nativeNoise } from '#src/p2p/noise/noise.ts'
import { complianceSuite } from '#test/support/compliance.ts'

/** libp2p's own tests of a connection encrypter, over our Noise. */
const suite = await complianceSuite(() => import('@libp2p/interface-compliance-tests/connection-encryption'))
suite({
  setup: async (given) => {
    if (given === undefined) throw new Error('the suite gives a key')
    const { privateKey } = given
    return nativeNoise().encrypter({
      privateKey,
      peerId: peerIdFromPrivateKey(privateKey),
      logger: defaultLogger(),
      upgrader: { getStreamMuxers: () => new Map(), getConnectionEncrypters: () => new Map() },
    } as unknown as Parameters<ReturnType<typeof nativeNoise>['encrypter']>[0])
  },
  teardown: async () => {},
})
