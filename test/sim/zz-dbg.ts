import { PreloadSim } from '#test/sim/preload-sim.ts'
import { runPreloadChaos } from '#test/sim/preload-chaos.ts'
const orig = (PreloadSim.prototype as any)
let theSim: any
const call0 = orig.call
orig.call = function (...a: any[]) { theSim = this; return call0.apply(this, a) }
const fail = { f: 0 }
const run = runPreloadChaos
import { Verdicts } from '#test/sim/verdicts.ts'
const vf = Verdicts.prototype.fail
Verdicts.prototype.fail = function (what: string) {
  if (what.includes('goes on') && fail.f++ === 0) {
    const sim = theSim, now = sim.world.now()
    console.log(what, 'now', now, sim.relay.gauges)
    for (const c of sim.calls) if (c.open) {
      console.log('call', c.address, c.startedMs, c.query.unique, 'indices', c.dag.indices.size, 'lines', c.lines.length, JSON.stringify(c.query).length)
      for (const n of sim.nodes) for (const r of n.asked) if (r.query.arg === c.query.arg) console.log('  work', n.backend.relayed.name, r.startedMs, r.spokeMs, r.endedMs, r.result, r.lines, 'unique', r.query.unique, 'has', [...c.dag.indices].filter((i: any) => n.backend.has.has(i)).length, 'fetch open', n.fetcher.open, 'lost', n.backend.relayed.lostMs, n.backend.relayed.state)
      for (const b of sim.browsers) if (b.address === c.address) console.log('  browser', b.connected, b.has.size, b.manner, b.remembered)
      console.log([...(theSim.relay as any).backends].map((b: any) => b.wants.size))
    }
    console.log(sim.sim.states.slice(-10))
  }
  return vf.call(this, what)
}
const o = process.argv[2] === 'fickle' ? { fickle: true, impatient: true, clients: 5 } : { fickle: true, impatient: true, kills: true, stalls: true, ill: true, hostile: true, clients: 10 }
console.log(run(Number(process.argv[3]), o).slice(0, 2))
