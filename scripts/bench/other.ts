/** Another proxy in the same harness: a command that learns by environment variables where to listen and whom to serve. */
import { type ProcessLine, startProcess } from '#test/support/process.ts'
import { freePorts } from './ports.ts'
import { withScratch } from './scratch.ts'
import type { Subject } from './subjects.ts'

/** Returns the multiaddrs with a peer ID that a line of output holds. */
export function addressesIn(line: ProcessLine): string[] {
  return JSON.stringify(line).match(/\/(?:ip4|ip6|dns4)\/[^\s"',]+\/p2p\/[A-Za-z0-9]+/g) ?? []
}

/** Starts the command; resolves once it has printed an address that clients dial. */
export function startOther(command: string, backend: Subject): Promise<Subject> {
  return withScratch((directory) => startIn(directory, command, backend))
}

async function startIn(directory: string, command: string, backend: Subject): Promise<Subject> {
  const [port, portWs] = await freePorts()
  const isAddress = (line: ProcessLine): boolean =>
    addressesIn(line).some((address) => !address.includes('/ws'))
  // `exec`: what is measured is the proxy, not a shell around it.
  const child = await startProcess('sh', ['-c', `exec ${command}`], {
    env: {
      BENCH_BACKEND: backend.tcp,
      BENCH_BACKEND_RPC: backend.web,
      BENCH_LISTEN: `/ip4/127.0.0.1/tcp/${port}`,
      BENCH_PORT: String(port),
      BENCH_PORT_WS: String(portWs),
      BENCH_DATA_DIR: directory,
    },
    readyLine: isAddress,
    readyTimeoutMs: 30_000,
  })
  const addresses = (): string[] => child.lines.flatMap(addressesIn)
  return {
    kind: 'other',
    pid: child.pid,
    tcp: addresses().find((address) => !address.includes('/ws')) ?? '',
    ws: addresses().find((address) => address.includes('/ws')) ?? '',
    web: '',
    stop: () => child.stop(),
  }
}
