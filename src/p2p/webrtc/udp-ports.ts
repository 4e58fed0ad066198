/**
 * The UDP sockets of the WebRTC doors. libdatachannel knows a socket by its port alone, and one that is bound to :: has
 * IPv4 as well: so there is one per port, and the twins on 0.0.0.0 and :: share it.
 *
 * Memory: one entry per port that is listened on.
 */

import { createSocket } from 'node:dgram'
import { isIPv4 } from 'node:net'
import { plainHost } from '#src/p2p/addresses.ts'
import type { NativeMux, NativeWebRtc, StunRequest } from '#src/p2p/webrtc/native.ts'

type Take = (request: StunRequest) => void

interface Shared {
  readonly mux: NativeMux
  readonly wildcard: boolean
  /** By IPv4 or not. */
  readonly takers: Map<boolean, Take>
}

/** A door's part in a socket. */
export interface OpenPort {
  readonly port: number
  close(): void
}

export class UdpPorts {
  readonly #webrtc: NativeWebRtc
  readonly #ports = new Map<number, Shared>()

  constructor(webrtc: NativeWebRtc) {
    this.#webrtc = webrtc
  }

  /** Binds it, 0 being any; requests of the host's family go to `take`. Throws where it cannot be had. */
  async open(host: string, asked: number, take: Take): Promise<OpenPort> {
    const port = asked === 0 ? await freePort(host) : asked
    const family = isIPv4(host)
    const wildcard = host === '0.0.0.0' || host === '::'
    const shared = this.#ports.get(port) ?? this.#bind(host, port, wildcard)
    if (shared.takers.has(family) || (shared.takers.size > 0 && !(wildcard && shared.wildcard)))
      throw new Error(`EADDRINUSE: WebRTC-direct has UDP port ${port} on another address already`)
    shared.takers.set(family, take)
    return {
      port,
      close: () => {
        shared.takers.delete(family)
        if (shared.takers.size > 0 || this.#ports.get(port) !== shared) return
        this.#ports.delete(port)
        shared.mux.stop()
      },
    }
  }

  #bind(host: string, port: number, wildcard: boolean): Shared {
    const mux = this.#listen(wildcard ? ['::', host] : [host], port)
    const shared: Shared = { mux, wildcard, takers: new Map() }
    mux.onUnhandledStunRequest((request) => {
      const from = plainHost(request.host)
      if (from !== undefined) shared.takers.get(isIPv4(from))?.({ ...request, host: from })
    })
    this.#ports.set(port, shared)
    return shared
  }

  #listen([host, ...others]: readonly string[], port: number): NativeMux {
    try {
      return new this.#webrtc.IceUdpMuxListener(port, host ?? '')
    } catch (error) {
      // A machine without IPv6.
      if (others.length > 0 && others[0] !== host) return this.#listen(others, port)
      throw new Error(`EADDRINUSE: UDP port ${port} cannot be bound on ${host}`, { cause: error })
    }
  }
}

/** Returns a port that was free just now: libdatachannel takes 0 for any socket that it has. */
function freePort(host: string): Promise<number> {
  const probe = createSocket(isIPv4(host) ? 'udp4' : 'udp6')
  return new Promise((resolve, reject) => {
    probe.once('error', reject)
    probe.bind(0, host, () => {
      const { port } = probe.address()
      probe.close(() => resolve(port))
    })
  })
}
