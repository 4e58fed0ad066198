import { buildVersion } from '#src/cli/version.ts'
import { thisMachine } from '#src/config/machine.ts'
import { startIpfsNode } from '#src/demo/zz-node.ts'
import { Stage } from '#src/demo/zz-stage.ts'

const stage = new Stage(
  { version: buildVersion(), machine: thisMachine(false), env: process.env },
  AbortSignal.timeout(40000),
)
const backends = await stage.startBackends()
const edge = await stage.startEdge(backends)
const client = await stage.startClient(edge)
const brokers = (n: any) => n.helia.blockBrokers[0].bitswap
const diag = async (when: string) => {
  const out: any[] = [when]
  for (const n of (globalThis as any).nodes) {
    const b = n.helia.components.blockBrokers[0].bitswap
    out.push({
      peer: n.host.peerId.toString(),
      wants: b.getWantlist().map((w: any) => w.cid.toString()),
      sendq: b.network.sendQueue.size,
      peers: [...b.wantList.peers.entries()].map(([p, s]: any) => [p.toString(), s.size]),
    })
    for (const c of n.host.getConnections())
      out.push(
        'conn',
        c.remotePeer.toString().slice(-6),
        c.direction,
        c.status,
        c.streams.map((s: any) => [
          s.protocol,
          s.direction,
          s.status,
          s.readStatus,
          s.writeStatus,
          s.remoteReadStatus,
          s.remoteWriteStatus,
          Date.now() - s.timeline.open,
        ]),
      )
    for (const c of n.host.getConnections()) {
      const w = b.getPeerWantlist(c.remotePeer)
      if (w?.length)
        out.push(
          'wl',
          c.remotePeer.toString().slice(-6),
          w.map((e: any) => [e.cid.toString().slice(-6), e.status, e.wantType, e.cancel]),
        )
    }
    for (const [p, l] of b.peerWantLists.ledgerMap.entries())
      out.push(
        'ledger',
        p.toString().slice(-6),
        [...l.wants.values()].map((e: any) => [e.cid.toString().slice(-6), e.status, e.wantType]),
        'q',
        l.sendBlocksQueue?.size,
      )
  }
  out.push(await (await fetch(edge.adminUrl + '/backends')).text())
  out.push(
    (await (await fetch(edge.adminUrl + '/metrics')).text())
      .split('\n')
      .filter((l) => l.startsWith('kitsune') && !/ 0$/.test(l) && !/bucket|process/.test(l))
      .join('\n'),
  )
  console.dir(out, { depth: 8, maxArrayLength: 60 })
}
const timers = [3000, 6000, 15000, 30000].map((ms) =>
  setTimeout(() => diag('after ' + ms).catch((e) => console.log(e)), ms),
)
const t = performance.now()
const r = await stage.fetch(client, edge, backends)
const ms = performance.now() - t
console.log(
  'TOOK',
  Math.round(ms),
  r.map((x) => Math.round(x.ms)),
)
process.exit()
