/**
 * What the transports of all doors have in common: each listens on the addresses of its kind, and the front dials nobody.
 */

import { type Transport, transportSymbol } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import { shape } from '#src/config/addresses.ts'
import { type DoorKind, kindOf } from '#src/config/listen.ts'

/** Returns the `listenFilter` of the doors of a kind. */
export function addressesOf(kind: DoorKind): (addresses: Multiaddr[]) => Multiaddr[] {
  return (addresses) => addresses.filter((address) => kindOf(shape(address.getComponents())) === kind)
}

/** Returns the transport of doors that no client of ours needs: nothing is dialled by it. */
export function listenOnly(kind: DoorKind, createListener: Transport['createListener']): Transport {
  return {
    [Symbol.toStringTag]: `kitsune/${kind}`,
    [transportSymbol]: true,
    createListener,
    listenFilter: addressesOf(kind),
    dialFilter: () => [],
    dial: () => Promise.reject(new Error('the front dials nobody')),
  }
}
