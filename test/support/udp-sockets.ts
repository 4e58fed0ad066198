import { readFileSync } from 'node:fs'

/** How many sockets are bound to a UDP port. */
export function socketsOn(port: number): number {
  const hex = port.toString(16).toUpperCase().padStart(4, '0')
  return readFileSync('/proc/net/udp', 'utf8')
    .split('\n')
    .filter((line) => line.trim().split(/\s+/)[1]?.endsWith(`:${hex}`)).length
}
