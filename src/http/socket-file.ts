/**
 * Listening on a socket in the file system: who may use it is who may write to it, the owner and his group. The file of
 * a process that was killed is taken over; one that somebody answers on, or that is no socket, is never touched.
 */

import { lstat, unlink } from 'node:fs/promises'
import type { Server } from 'node:http'
import { connect } from 'node:net'
import process from 'node:process'
import { KitsuneError } from '#src/util/errors.ts'

/** Who is not of the group may do nothing: mode 0660. */
const umaskOfSocket = 0o117
const knockMs = 1_000

/** Listens on `path`; throws `socket-in-use`, `socket-forbidden`, `socket-no-directory`, `socket-not-a-socket` or `listen-failed`. */
export async function listenOnSocket(server: Server, path: string): Promise<{ readonly path: string }> {
  await clearAway(path)
  // Set before the file is made, so that there is no moment at which others could use it.
  const umask = process.umask(umaskOfSocket)
  const bound = bind(server, { path })
  process.umask(umask)
  await bound.catch((cause: NodeJS.ErrnoException) => {
    throw socketError(codes[cause.code ?? ''] ?? 'listen-failed', path, cause)
  })
  return { path }
}

/** Resolves when the server listens, rejects with the system's error. */
export function bind(
  server: Server,
  at: { readonly host: string; readonly port: number } | { readonly path: string },
): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(at, () => {
      server.off('error', reject)
      // Without a listener an error on the listening socket would end the process.
      server.on('error', () => {})
      resolve()
    })
  })
}

async function clearAway(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined)
  if (found === undefined) return
  if (!found.isSocket()) throw socketError('socket-not-a-socket', path)
  if (await answers(path)) throw socketError('socket-in-use', path)
  await unlink(path).catch((cause: unknown) => {
    throw socketError('socket-forbidden', path, cause)
  })
}

/** Only a refusal says that nobody is there: a socket that may not be used, or does not answer in time, has an owner. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path })
    const timer = setTimeout(() => end(true), knockMs)
    const end = (answered: boolean) => {
      clearTimeout(timer)
      socket.destroy()
      resolve(answered)
    }
    socket.once('connect', () => end(true))
    socket.once('error', ({ code }: NodeJS.ErrnoException) =>
      end(code !== 'ECONNREFUSED' && code !== 'ENOENT'),
    )
  })
}

const codes: Readonly<Record<string, SocketErrorCode>> = {
  EADDRINUSE: 'socket-in-use',
  EACCES: 'socket-forbidden',
  EPERM: 'socket-forbidden',
  EROFS: 'socket-forbidden',
  ENOENT: 'socket-no-directory',
  ENOTDIR: 'socket-no-directory',
}

const messages = {
  'socket-in-use': 'another process listens on the socket: stop it, or choose another path',
  'socket-forbidden': 'this user may not make a socket there: choose a directory that it may write',
  'socket-no-directory':
    'there is no such directory: make it first (under systemd: RuntimeDirectory=kitsune makes /run/kitsune)',
  'socket-not-a-socket':
    'there is a file of that name, and it is no socket: move it away, or choose another path',
  'listen-failed': 'the socket could not be made',
}
type SocketErrorCode = keyof typeof messages

function socketError(code: SocketErrorCode, path: string, cause?: unknown): KitsuneError {
  return new KitsuneError(code, messages[code], { facts: { path }, cause })
}
