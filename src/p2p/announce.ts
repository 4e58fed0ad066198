/**
 * What clients are told about where the front is: identify, the signed record of it, `/api/v0/id` and `kitsune addrs`
 * all say the same.
 *
 * Invariant: whatever is told can be dialled as it stands: with the hashes of the certificates that the door has now,
 * by a name that its certificate has, and from the internet unless somebody announced it. Memory: one signed record.
 *
 * A TLS port is told as `/wss`, which is what js-ipfs, Helia and go-libp2p all understand; `/tls/ws` is younger than
 * the js-ipfs of the field (js-multiaddr has it since January 2023), which takes none of the addresses when it cannot read one.
 */

import { isIP } from 'node:net'
import type { PeerId, PrivateKey } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { PeerRecord, RecordEnvelope } from '@libp2p/peer-record'
import { CODE_P2P, type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { publicOnly, remoteHost } from '#src/p2p/addresses.ts'
import { doorOfConnection } from '#src/p2p/door/front-doors.ts'
import { isPrivateHost } from '#src/p2p/private-hosts.ts'

export interface AnnouncerDeps {
  /** Signs the record. */
  readonly privateKey: PrivateKey
  /** Where it really listens, wildcards resolved, with `/certhash/…` where the door has some. */
  readonly listening: () => readonly Multiaddr[]
  /** Names in the certificates that are served now, wildcards and IP addresses too. */
  readonly certificateNames: () => readonly string[]
}

export class Announcer {
  readonly #deps: AnnouncerDeps
  readonly #self: PeerId
  readonly #announced: readonly Multiaddr[]
  #record: { readonly of: string; readonly bytes: Promise<Uint8Array> } | undefined

  /** Multiaddrs of `announce` are told in place of the real ones, unless it is empty. */
  constructor(deps: AnnouncerDeps, announce: readonly string[]) {
    this.#deps = deps
    this.#self = peerIdFromPrivateKey(deps.privateKey)
    this.#announced = announce.map((address) => multiaddr(address).decapsulateCode(CODE_P2P))
  }

  /** Returns what is told now, each with `/p2p/<peer ID>`. */
  advertised(): Multiaddr[] {
    return this.#told().map((address) => address.encapsulate(`/p2p/${this.#self}`))
  }

  /** Returns the same as a signed record, undefined where nothing is told. Signed anew only when it changes. */
  async record(): Promise<Uint8Array | undefined> {
    const multiaddrs = this.#told()
    if (multiaddrs.length === 0) return undefined
    const of = multiaddrs.join()
    if (this.#record?.of !== of) this.#record = { of, bytes: this.#sign(multiaddrs) }
    return this.#record.bytes
  }

  async #sign(multiaddrs: Multiaddr[]): Promise<Uint8Array> {
    const record = new PeerRecord({ peerId: this.#self, multiaddrs })
    return (await RecordEnvelope.seal(record, this.#deps.privateKey)).marshal().subarray()
  }

  #told(): Multiaddr[] {
    const found =
      this.#announced.length > 0
        ? this.#announced.flatMap((address) => this.#withHashes(address))
        : this.#dialable(this.#deps.listening())
    return [...new Map(found.map((address) => [address.toString(), address])).values()]
  }

  /** An announced address gets the hashes of its door; without any, nobody could dial it. */
  #withHashes(address: Multiaddr): Multiaddr[] {
    const kind = doorOfConnection(address)
    if (kind !== 'webrtc-direct' && kind !== 'webtransport') return [address]
    if (hashesOf(address).length > 0) return [address]
    const doors = this.#deps.listening().filter((door) => doorOfConnection(door) === kind)
    const door = doors.find((each) => portOf(each) === portOf(address)) ?? doors[0]
    const hashes = door === undefined ? [] : hashesOf(door)
    return hashes.length === 0
      ? []
      : [address.encapsulate(hashes.map((hash) => `/certhash/${hash}`).join(''))]
  }

  #dialable(listening: readonly Multiaddr[]): Multiaddr[] {
    const names = this.#deps.certificateNames()
    return listening.flatMap((door) =>
      doorOfConnection(door) === 'wss' ? byName(door, names) : publicOnly([door.decapsulateCode(CODE_P2P)]),
    )
  }
}

/** A TLS port can be dialled by what its certificate says, and by nothing else. */
function byName(door: Multiaddr, names: readonly string[]): Multiaddr[] {
  const host = remoteHost(door)
  const version = isIP(host) === 6 ? 6 : 4
  return names
    .filter((name) => !name.includes('*') && !isPrivateHost(name) && (isIP(name) === 0 || name === host))
    .map((name) => multiaddr(`/${isIP(name) === 0 ? 'dns' : 'ip'}${version}/${name}/tcp/${portOf(door)}/wss`))
}

function hashesOf(address: Multiaddr): string[] {
  return address.getComponents().flatMap(({ name, value }) => (name === 'certhash' && value ? [value] : []))
}

function portOf(address: Multiaddr): string | undefined {
  return address.getComponents().find(({ name }) => name === 'tcp' || name === 'udp')?.value
}
