// A page as they are in the field: ipfs-core's own browser build with its defaults, but for whom it knows. What
// it is to do is in the fragment of its address:
//
//   #{"bootstrap":["/dns4/…/wss/p2p/…"],"preload":["/dns4/…/https"],"add":{"seed","bytes"}}  or  "cat":"<cid>"
import { seededChunks } from './seeded-chunks.mjs'

const { bootstrap, preload, add, cat } = JSON.parse(decodeURIComponent(location.hash.slice(1)))

const node = await globalThis.IpfsCore.create({
  repo: `page-${crypto.randomUUID()}`,
  config: { Addresses: { Delegates: [] }, Bootstrap: bootstrap },
  preload: { enabled: true, addresses: preload },
})
show('peer', (await node.id()).id.toString())

if (add) {
  const { cid } = await node.add({ content: [...seededChunks(add.seed, add.bytes)] })
  show('cid', cid.toString())
}

if (cat) {
  const chunks = []
  for await (const chunk of node.cat(cat)) chunks.push(chunk)
  const bytes = new Uint8Array(await new Blob(chunks).arrayBuffer())
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
  show('bytes', String(bytes.length))
  show('sha256', [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join(''))
}

function show(id, text) {
  document.getElementById(id).textContent = text
}
