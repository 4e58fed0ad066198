/** HAProxy in TCP mode on one thread: the floor of moving bytes. It cannot pool backends behind one identity. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startProcess } from '#test/support/process.ts'
import { freePorts, portOf, untilAccepting, withPort } from './ports.ts'
import { withScratch } from './scratch.ts'
import type { Subject } from './subjects.ts'

/** Where Debian puts it. */
export const haproxyPath = '/usr/sbin/haproxy'

/** Starts one in front of a backend; its clients still speak with the backend's identity. */
export function startHaproxy(backend: Subject): Promise<Subject> {
  return withScratch((directory) => startIn(directory, backend))
}

async function startIn(directory: string, backend: Subject): Promise<Subject> {
  const config = join(directory, 'haproxy.cfg')
  const [tcp, ws] = await freePorts()
  await writeFile(config, configuration({ tcp, ws, toTcp: portOf(backend.tcp), toWs: portOf(backend.ws) }))
  // It says nothing when it is ready; the shell speaks for it and becomes it.
  const child = await startProcess('sh', [
    '-c',
    `echo '{"event":"ready"}'; exec "$0" -db -f "$1"`,
    haproxyPath,
    config,
  ])
  await untilAccepting(tcp, child)
  return {
    kind: 'haproxy',
    pid: child.pid,
    tcp: withPort(backend.tcp, tcp),
    ws: withPort(backend.ws, ws),
    web: '',
    stop: () => child.stop(),
  }
}

function configuration(ports: { tcp: number; ws: number; toTcp: number; toWs: number }): string {
  return `global
  nbthread 1
  maxconn 4000
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
listen tcp
  bind 127.0.0.1:${ports.tcp}
  server backend 127.0.0.1:${ports.toTcp}
listen ws
  bind 127.0.0.1:${ports.ws}
  server backend 127.0.0.1:${ports.toWs}
`
}
