/**
 * What is to be said about the doors, from trying each: can it be opened now, or has the edge that runs here done so? Pure.
 */

import { about, type Finding, underSystemd } from '#src/cli/doctor/finding.ts'
import type { ListenAddress } from '#src/config/listen.ts'

/** An address that an edge listens on. */
export interface Door extends Pick<ListenAddress, 'address' | 'optional'> {
  /** What it is set by. */
  readonly variable: 'KITSUNE_LISTEN' | 'KITSUNE_HTTP_LISTEN' | 'KITSUNE_ADMIN_LISTEN'
}

/** What came of opening one for a moment. */
export interface DoorFacts {
  readonly door: Door
  /** The system's code, such as EADDRINUSE. */
  readonly fault?: string
  /** Who has the port: "nginx (pid 812)". */
  readonly holder?: string
  /** The edge that runs here has it. */
  readonly ours: boolean
}

export function judgeDoor({ door, fault, holder, ours }: DoorFacts, program: string): Finding {
  const { ok, warn, fail } = about(`door ${door.address}`)
  if (ours) return ok('is open in the edge that runs here')
  if (fault === undefined) return ok('can be opened')
  const bad = door.optional ? warn : fail
  const [, , host, protocol, port] = door.address.split('/')
  switch (fault) {
    case 'EADDRINUSE': {
      const look = `ss -${protocol === 'udp' ? 'u' : 't'}lnp 'sport = :${port}'`
      return bad(
        `${holder ?? 'another process'} has the port`,
        `${look} # shows who: stop it, or change ${door.variable}`,
      )
    }
    case 'EACCES':
      return bad(
        'this user may not open ports below 1024',
        `setcap cap_net_bind_service=+ep ${program} # ${underSystemd('AmbientCapabilities=CAP_NET_BIND_SERVICE')}`,
      )
    case 'EADDRNOTAVAIL':
      return bad(
        `no interface has the address ${host}`,
        `ip -brief address # shows those there are: change ${door.variable}`,
      )
    case 'EAFNOSUPPORT':
      return bad(
        'this system has no IPv6',
        `sysctl -w net.ipv6.conf.all.disable_ipv6=0 # or leave it out of ${door.variable}`,
      )
    default:
      return bad(`cannot be opened: ${fault}`)
  }
}
