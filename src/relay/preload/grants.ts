import type { MultihashKey } from '#src/bitswap/cid.ts'
import type { Account } from '#src/relay/preload/accounts.ts'
import { Grant } from '#src/relay/preload/grant.ts'
import type { RefsRoot } from '#src/relay/preload/refs.ts'

/**
 * The open grants, by what they cover and by address.
 *
 * Invariant: `covering` names a grant exactly for the keys in its `covered`; the sums over all accounts and in
 * all are those of the open grants. Memory: `blocksTotal` keys; a grant goes with its call.
 */

export interface GrantLimits {
  /** Blocks that one grant may name, those of one address, and those of all. */
  readonly blocks: number
  readonly blocksPerAddress: number
  readonly blocksTotal: number
  /** Bytes pulled under one grant, those of one address, and those of all, while they are open. */
  readonly bytes: number
  readonly bytesPerAddress: number
  readonly bytesTotal: number
  /** How far below its root. */
  readonly depth: number
}

export class Grants {
  readonly #limits: GrantLimits
  readonly #covering = new Map<MultihashKey, Grant[]>()
  readonly #byAddress = new Map<string, Set<Grant>>()
  #open = 0
  #blocks = 0
  #bytes = 0

  constructor(limits: GrantLimits) {
    this.#limits = limits
  }

  /** Grants that are open. */
  get open(): number {
    return this.#open
  }

  /** Keys covered, over all grants. */
  get blocks(): number {
    return this.#blocks
  }

  /** Returns the grants that cover a block; undefined for nearly everything that backends want. */
  covering(key: MultihashKey): readonly Grant[] | undefined {
    return this.#covering.get(key)
  }

  /** Whether clients at an address are waited for. */
  expects(address: string): boolean {
    return this.#byAddress.has(address)
  }

  /** Returns the grants under which clients at an address may be asked. */
  at(address: string): Iterable<Grant> {
    return this.#byAddress.get(address) ?? []
  }

  /** Returns a new grant that covers its root; nobody is asked before an account joins it. */
  create(root: RefsRoot, nowMs: number): Grant {
    const grant = new Grant(root, nowMs)
    this.#open++
    this.#cover(grant, root.multihash, 0)
    return grant
  }

  /** The clients of an account may be asked as well. True if they could not be before. */
  join(grant: Grant, account: Account): boolean {
    const times = grant.accounts.get(account) ?? 0
    grant.accounts.set(account, times + 1)
    if (times > 0) return false
    account.blocks += grant.covered.size
    account.bytes += grant.bytes
    const grants = this.#byAddress.get(account.address) ?? new Set()
    this.#byAddress.set(account.address, grants.add(grant))
    return true
  }

  /** A call under it is over. True if the clients of the account may not be asked any more. */
  part(grant: Grant, account: Account): boolean {
    const times = grant.accounts.get(account)
    if (times === undefined) return false
    if (times > 1) {
      grant.accounts.set(account, times - 1)
      return false
    }
    grant.accounts.delete(account)
    account.blocks -= grant.covered.size
    account.bytes -= grant.bytes
    const grants = this.#byAddress.get(account.address)
    grants?.delete(grant)
    if (grants?.size === 0) this.#byAddress.delete(account.address)
    return true
  }

  /** Extends a grant by the links of a verified block under it; returns those that are new. */
  extend(grant: Grant, parent: MultihashKey, links: readonly string[]): MultihashKey[] {
    const depth = grant.covered.get(parent)
    const added: MultihashKey[] = []
    if (depth === undefined) return added
    grant.unread.delete(parent)
    for (const link of links as readonly MultihashKey[]) {
      if (grant.covered.has(link)) continue
      if (depth >= this.#limits.depth || !this.#hasRoom(grant)) {
        grant.exceeded = true
        return added
      }
      this.#cover(grant, link, depth + 1)
      added.push(link)
    }
    return added
  }

  /** Counts bytes that a client brought under a grant. */
  charge(grant: Grant, bytes: number): void {
    const { bytes: most, bytesPerAddress, bytesTotal } = this.#limits
    grant.bytes += bytes
    this.#bytes += bytes
    for (const account of grant.accounts.keys()) account.bytes += bytes
    if (grant.bytes > most || this.#bytes > bytesTotal) grant.exceeded = true
    if (everyAccount(grant, (account) => account.bytes > bytesPerAddress)) grant.exceeded = true
  }

  /** Forgets a grant and all that it covered. */
  close(grant: Grant): void {
    for (const account of [...grant.accounts.keys()]) {
      grant.accounts.set(account, 1)
      this.part(grant, account)
    }
    for (const key of grant.covered.keys()) {
      const others = this.#covering.get(key)?.filter((other) => other !== grant) ?? []
      if (others.length === 0) this.#covering.delete(key)
      else this.#covering.set(key, others)
    }
    this.#open--
    this.#blocks -= grant.covered.size
    this.#bytes -= grant.bytes
    grant.covered.clear()
    grant.unread.clear()
  }

  #hasRoom(grant: Grant): boolean {
    const { blocks, blocksPerAddress, blocksTotal } = this.#limits
    if (grant.covered.size >= blocks || this.#blocks >= blocksTotal) return false
    return !everyAccount(grant, (account) => account.blocks >= blocksPerAddress)
  }

  #cover(grant: Grant, key: MultihashKey, depth: number): void {
    grant.covered.set(key, depth)
    grant.unread.set(key, 0)
    this.#blocks++
    for (const account of grant.accounts.keys()) account.blocks++
    const others = this.#covering.get(key)
    if (others === undefined) this.#covering.set(key, [grant])
    else others.push(grant)
  }
}

/**
 * Whether something is true of every address that asked for it. One that has used up what it may have must not end
 * what another one asked for: it could join whatever it likes.
 */
function everyAccount({ accounts }: Grant, holds: (account: Account) => boolean): boolean {
  for (const account of accounts.keys()) if (!holds(account)) return false
  return accounts.size > 0
}
