import { yamux } from '#src/mux/yamux.ts'
import { complianceSuite } from '#test/support/compliance.ts'
import { muxerOptions } from './muxers.ts'

/** libp2p's own tests of a stream muxer, over ours. None is left out. */
const suite = await complianceSuite(() => import('@libp2p/interface-compliance-tests/stream-muxer'))
suite({ setup: async () => yamux(muxerOptions)(), teardown: async () => {} })
