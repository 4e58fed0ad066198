import type { BackendConfig } from '#src/config/config.ts'
import type { KuboRpc } from '#src/rpc/kubo.ts'
import { usableAddresses } from '#src/rpc/swarm-addresses.ts'
import { KitsuneError } from '#src/util/errors.ts'

/** Where a backend is reached, and who it must prove to be. */
export interface Target {
  readonly peerId: string
  /** Multiaddrs, each ending in `/p2p/<peerId>`. */
  readonly addresses: readonly string[]
  readonly agent: string | undefined
}

/**
 * Where one backend is: as configured, or learned from its RPC and learned again when it cannot be reached
 * there any more.
 *
 * Invariant: one question to the RPC at a time, whoever asks. Memory: the last answer.
 */
export class BackendAddress {
  readonly #config: BackendConfig
  readonly #rpc: KuboRpc | undefined
  #known: Target | undefined
  #learning: Promise<Target> | undefined

  constructor(config: BackendConfig, rpc: KuboRpc | undefined) {
    this.#config = config
    this.#rpc = rpc
  }

  /** The last answer, which may be out of date. */
  get known(): Target | undefined {
    return this.#known
  }

  /** Returns where the backend is; rejects with a reason an operator can act on. */
  async find(): Promise<Target> {
    if (this.#known !== undefined) return this.#known
    this.#learning ??= this.#learn().finally(() => {
      this.#learning = undefined
    })
    return this.#learning
  }

  /** It was not reached there: ask again next time, where there is somebody to ask. */
  forget(target: Target): void {
    if (this.#known === target && this.#rpc !== undefined) this.#known = undefined
  }

  async #learn(): Promise<Target> {
    const config = this.#config
    if (config.kind === 'multiaddr' || this.#rpc === undefined) {
      const address = config.kind === 'multiaddr' ? config.multiaddr : ''
      const peerId = address.slice(address.lastIndexOf('/p2p/') + '/p2p/'.length)
      this.#known = { peerId, addresses: [address], agent: undefined }
      return this.#known
    }
    const identity = await this.#rpc.id()
    const addresses = usableAddresses(identity.addresses, new URL(config.url).hostname)
    if (addresses.length === 0) {
      throw new KitsuneError(
        'backend-without-address',
        'The backend tells no TCP swarm address that can be dialled from here; see Addresses.Swarm in its config',
        { side: 'backend', facts: { backend: config.name, addresses: identity.addresses } },
      )
    }
    this.#known = { peerId: identity.id, addresses, agent: identity.agentVersion }
    return this.#known
  }
}
