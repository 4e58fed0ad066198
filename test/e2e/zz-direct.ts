import { startGoServe } from '#test/support/go-peer.ts'
import { startJsIpfs } from '#test/support/js-ipfs-peer.ts'
const size = Number(process.argv[2]) * 1024
const b = await startGoServe({ fileBytes: size, fileSeed: 1, muxers: 'yamux,mplex' })
const node = await startJsIpfs()
await node.connect(b.addr)
const r = await node.cat(b.root!, 20_000).catch(String)
console.log(r)
await node.stop()
await b.stop()
process.exit(0)
