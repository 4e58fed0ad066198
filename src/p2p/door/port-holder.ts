/**
 * Who has a port, for messages to people: Linux tells it in /proc, of this user's processes and, to root, of all.
 * Nothing is held.
 */

import { readdir, readFile, readlink } from 'node:fs/promises'

/** Returns such as "nginx (pid 812)"; undefined where nobody has the port, or the system does not say who. */
export async function holderOfPort(protocol: 'tcp' | 'udp', port: number): Promise<string | undefined> {
  const inodes = new Set(
    (await Promise.all([protocol, `${protocol}6`].map((table) => socketsOn(table, port)))).flat(),
  )
  if (inodes.size === 0) return undefined
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name))
  for (const pid of pids) {
    if (!(await hasSocket(pid, inodes))) continue
    const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')
    return `${name.trim() || 'a process'} (pid ${pid})`
  }
  return undefined
}

/** Returns the inodes of the sockets that are bound to the port, of TCP those that listen. */
async function socketsOn(table: string, port: number): Promise<string[]> {
  const text = await readFile(`/proc/net/${table}`, 'utf8').catch(() => '')
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  return text
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(
      ([, local = '', , state]) => local.endsWith(wanted) && (table.startsWith('udp') || state === '0A'),
    )
    .flatMap((fields) => fields[9] ?? [])
}

async function hasSocket(pid: string, inodes: ReadonlySet<string>): Promise<boolean> {
  const files = await readdir(`/proc/${pid}/fd`).catch(() => [])
  for (const file of files) {
    const target = await readlink(`/proc/${pid}/fd/${file}`).catch(() => '')
    const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1]
    if (inode !== undefined && inodes.has(inode)) return true
  }
  return false
}
