import { startEdgeProcess } from '#test/support/edge.ts'
import { startGoServe } from '#test/support/go-peer.ts'
import { startJsIpfs } from '#test/support/js-ipfs-peer.ts'
const size = Number(process.argv[2]) * 1024
const n = Number(process.argv[3] ?? 1)
const via = process.argv[4] ?? 'tcp'
const b = await startGoServe({ fileBytes: size, fileSeed: 1 })
const edge = await startEdgeProcess({ backends: [b.rpc], env: { KITSUNE_CACHE: '0', KITSUNE_LOG_LEVEL: process.argv[5] ?? 'info' } })
await edge.untilReady()
const nodes = await Promise.all(Array.from({ length: n }, () => startJsIpfs()))
await Promise.all(nodes.map((x) => x.connect(via === 'tcp' ? edge.tcp : edge.ws)))
const t = performance.now()
const r = await Promise.allSettled(nodes.map((x) => x.cat(b.root!, 20_000)))
console.log(r.map((x) => (x.status === 'fulfilled' ? 'ok ' + x.value.ms : String(x.reason))))
const m = await edge.metrics()
console.log(m.summary())
console.log(await b.stats())
if (process.argv[5]) for (const l of edge.logs.slice(-60)) console.log(JSON.stringify(l).slice(0, 400))
await Promise.all(nodes.map((x) => x.stop()))
await edge.stop(); await b.stop()
process.exit(0)
