import { setTimeout as delay } from 'node:timers/promises'
import { type BackendState, type Figures, readBackends } from '#src/demo/figures.ts'
import type { RunningEdge } from '#src/edge.ts'
import { KitsuneError } from '#src/util/errors.ts'

/** How often the edge is asked whether its backends are up, before the demo begins. */
const readyPollMs = 25

/** The edge of the demo, as people can reach it. */
export class DemoEdge {
  readonly peerId: string
  readonly adminUrl: string
  /** Settles when the edge has ended. */
  readonly finished: Promise<void>
  readonly #listening: readonly string[]

  constructor(running: RunningEdge, peerId: string, adminUrl: string) {
    this.peerId = peerId
    this.adminUrl = adminUrl
    this.finished = running.finished
    this.#listening = running.listening
  }

  /** Returns the multiaddr to dial. */
  address(transport: 'tcp' | 'ws'): string {
    const found = this.#listening.find((each) => each.includes('/ws/') === (transport === 'ws'))
    if (found === undefined) throw new KitsuneError('DEMO_NOT_LISTENING', 'The edge has no address')
    return found
  }

  /** `http://127.0.0.1:PORT` of the port that speaks WebSocket and HTTP. */
  get webUrl(): string {
    return `http://127.0.0.1:${/\/tcp\/(\d+)/.exec(this.address('ws'))?.[1]}`
  }

  /** Returns where every backend stands. */
  states(signal: AbortSignal): Promise<readonly BackendState[]> {
    return readBackends(this.adminUrl, signal)
  }

  /** Resolves once every backend is ready. */
  async reachedAll(signal: AbortSignal): Promise<void> {
    while ((await this.states(signal)).some(({ state }) => state !== 'ready')) {
      await delay(readyPollMs, undefined, { signal })
    }
  }

  /** Returns what each backend gave so far, under the names that the demo calls them by. */
  async figures(labels: ReadonlyMap<string, string>, signal: AbortSignal): Promise<Figures> {
    const states = await this.states(signal)
    return new Map(states.map(({ name, blocks, bytes }) => [labels.get(name) ?? name, { blocks, bytes }]))
  }
}
