import { runPreloadChaos, type PreloadChaosOptions } from '#test/sim/preload-chaos.ts'
const all: Record<string, PreloadChaosOptions> = {
  stay: { clients: 10 }, fickle: { fickle: true, impatient: true, clients: 5 }, hostile: { hostile: true }, kills: { kills: true, clients: 5 },
  stalls: { stalls: true }, ill: { ill: true }, copies: { replicas: 2, kills: true, stalls: true, fickle: true },
  copies3: { replicas: 3, nodes: 5, kills: true, ill: true, fickle: true, clients: 5 },
  office: { addresses: 2, hostile: true, fickle: true, browsers: 60 },
  every: { fickle: true, impatient: true, kills: true, stalls: true, ill: true, hostile: true, clients: 10 },
}
const [from, to, only] = [Number(process.argv[2]), Number(process.argv[3]), process.argv[4]]
for (const [name, o] of Object.entries(all)) {
  if (only && only !== name) continue
  let bad = 0
  for (let s = from; s <= to; s++) {
    const f = runPreloadChaos(s, o)
    if (f.length) { bad++; console.log(name, s, f.slice(0, 4)) }
  }
  console.log(name, 'bad', bad)
}
