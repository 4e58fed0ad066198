/**
 * An edge of the compiled executable whose web port has TLS, and an authority that clients of the test trust: Go and Node
 * are told of it by the environment that they inherit.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeAuthority, type TestAuthority, writeCertificate } from '#test/support/certificates.ts'
import { type EdgeProcess, startEdgeProcess } from '#test/support/edge.ts'

/** Where a certificate and its key are. */
export interface CertificateFiles {
  readonly certFile: string
  readonly keyFile: string
}

export interface TlsPlace {
  /** A directory that goes with it. */
  readonly at: string
  readonly authority: TestAuthority
  /** Of `localhost` and 127.0.0.1. */
  readonly first: CertificateFiles
  /** Of `other.test` and what is below it. */
  readonly other: CertificateFiles
  stop(): Promise<void>
}

/** Which variables tell Go and Node of an authority. */
const trustVariables = ['SSL_CERT_FILE', 'NODE_EXTRA_CA_CERTS']

/** Makes an authority, and two certificates. */
export async function makeTlsPlace(): Promise<TlsPlace> {
  const at = await mkdtemp(join(tmpdir(), 'kitsune-wss-'))
  const authority = await makeAuthority()
  await writeFile(join(at, 'authority.crt'), authority.cert)
  for (const name of trustVariables) process.env[name] = join(at, 'authority.crt')
  return {
    at,
    authority,
    first: await writeCertificate(at, 'first', await authority.issue(['localhost', '127.0.0.1'])),
    other: await writeCertificate(at, 'other', await authority.issue(['other.test', '*.other.test'])),
    async stop() {
      for (const name of trustVariables) delete process.env[name]
      await rm(at, { recursive: true, force: true })
    },
  }
}

export interface TlsEdge {
  readonly edge: EdgeProcess
  /** The multiaddr of its wss door, with /p2p/…, and the ports of both of its doors. */
  readonly wss: string
  readonly tcpPort: number
  readonly wssPort: number
}

/** Starts an edge with a TCP and a wss door, which has both certificates of the place. */
export async function startTlsEdge(
  { first, other }: TlsPlace,
  backend: string,
  env: Readonly<Record<string, string>> = {},
): Promise<TlsEdge> {
  const edge = await startEdgeProcess({
    from: 'binary',
    backends: [backend],
    env: {
      KITSUNE_LISTEN: '/ip4/127.0.0.1/tcp/0,/ip4/127.0.0.1/tcp/0/tls/ws',
      KITSUNE_TLS_CERT_FILE: [first, other].map(({ certFile }) => certFile).join(),
      KITSUNE_TLS_KEY_FILE: [first, other].map(({ keyFile }) => keyFile).join(),
      ...env,
    },
  })
  const wss = edge.addresses.find((address) => address.includes('/tls/ws')) ?? ''
  const [tcpPort, wssPort] = [edge.tcp, wss].map((address) => Number(address.split('/')[4])) as [
    number,
    number,
  ]
  return { edge, wss, tcpPort, wssPort }
}
