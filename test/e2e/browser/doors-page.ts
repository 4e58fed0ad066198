/**
 * An example: one page that uses an edge through every door a browser has. What it is to do is in the fragment of its
 * address, a list of visits as JSON (see `VisitPlan`):
 *
 *   #[{"door":"webrtc-direct","address":"/ip4/…/certhash/…/p2p/…","api":"http://…","file":{…},"addBytes":4194304}]
 *
 * Doors are visited one after the other, so that each has the machine to itself. A card shows how far it is.
 */
import { Card } from './doors-card.ts'
import { type VisitPlan, visit } from './doors-visit.ts'

const plans = JSON.parse(decodeURIComponent(location.hash.slice(1)) || '[]') as VisitPlan[]
const cards = plans.map((plan) => new Card(plan))

const list = document.querySelector('main')!
if (cards.length > 0) list.replaceChildren(...cards.map((card) => card.element))

for (const [at, plan] of plans.entries()) {
  const card = cards[at]!
  card.begin()
  try {
    for await (const step of visit(plan)) card.show(step)
    card.end()
  } catch (error) {
    console.error(error)
    card.fail(error)
  }
}
