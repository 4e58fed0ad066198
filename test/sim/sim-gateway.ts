import type { GatewayResult, ReadByGateway } from '#src/relay/ports.ts'
import { fromKey } from '#src/util/bytes.ts'
import type { Content } from '#test/sim/content.ts'
import type { SimBackend } from '#test/sim/sim-backend.ts'
import type { World } from '#test/sim/world.ts'

/** How a gateway behaves; each is the chance of it per request. All left out: honest and well. */
export interface GatewayManner {
  /** Answers with a failure, or is not there. */
  readonly fails?: number
  /** Answers with wrong bytes. */
  readonly lies?: number
  /** Never answers. */
  readonly stalls?: number
  /** Says that it lacks what its backend has. */
  readonly lacks?: number
  readonly latencyMs?: () => number
}

/** The gateway of a simulated backend: the same blocks, and troubles of its own. */
export class SimGateway {
  manner: GatewayManner
  /** Whose blocks it hands out; set once that is there. */
  backend: SimBackend | undefined
  requests = 0
  mostOpen = 0
  open = 0
  readonly read: ReadByGateway
  readonly #content: Content
  readonly #world: World

  constructor(world: World, content: Content, manner: GatewayManner = {}) {
    this.#world = world
    this.#content = content
    this.manner = manner
    this.read = (key, done) => {
      this.requests++
      this.open++
      this.mostOpen = Math.max(this.mostOpen, this.open)
      let live = true
      const end = (): void => {
        if (live) this.open--
        live = false
      }
      const answer = (): void => {
        if (!live) return
        end()
        done(this.#answer(key))
      }
      if (!world.chance(this.manner.stalls ?? 0)) {
        const latencyMs = this.manner.latencyMs ?? (() => 1 + 2 * world.random())
        world.after(latencyMs(), () => this.backend?.whenAwake(answer))
      }
      return end
    }
  }

  #answer(key: string): GatewayResult {
    const block = this.#content.named(fromKey(key))
    const { fails = 0, lies = 0, lacks = 0 } = this.manner
    if (this.backend?.isUp !== true) return { kind: 'failed', fault: 'unreachable', reason: 'nobody there' }
    if (this.#world.chance(fails)) return { kind: 'failed', fault: 'refused', reason: 'status 500' }
    if (block === undefined || !this.backend.has.has(block.index) || this.#world.chance(lacks)) {
      return { kind: 'absent' }
    }
    if (!this.#world.chance(lies)) return { kind: 'found', bytes: block.bytes }
    const wrong = block.bytes.slice()
    wrong[wrong.length - 1] = (wrong.at(-1) as number) ^ 0x55
    return { kind: 'found', bytes: wrong }
  }
}
