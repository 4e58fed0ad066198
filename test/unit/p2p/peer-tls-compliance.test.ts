import { peerTls } from '#src/p2p/peer-tls/peer-tls.ts'
import { complianceSuite } from '#test/support/compliance.ts'

/** libp2p's own tests of a connection encrypter, over our TLS as it is on top of streams: both ends are in memory. */
const suite = await complianceSuite(() => import('@libp2p/interface-compliance-tests/connection-encryption'))
suite({
  setup: async (given) => {
    if (given === undefined) throw new Error('the suite gives a key')
    const { privateKey } = given
    return peerTls()({ privateKey, upgrader: { getStreamMuxers: () => new Map() } })
  },
  teardown: async () => {},
})
