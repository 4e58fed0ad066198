/**
 * The certificates of the WebTransport door, kept in a directory: the one in use, the one after it, and those before
 * whose hashes clients may still hold. Both of the first are announced, so that an address that was handed out leads
 * here for about two weeks at least, over restarts too.
 *
 * Invariant: the one in use is valid for a client whose clock is an hour wrong; the next one is valid two hours before
 * the one in use ends. Memory: three certificates, or four.
 */

import { readdir, rename, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { createPrivateFile, readPrivateFile } from '#src/p2p/private-file.ts'
import {
  type Certificate,
  clockSkewMs,
  makeCertificate,
  readCertificate,
  validMs,
} from '#src/p2p/webtransport/certificate.ts'
import { describeError, KitsuneError } from '#src/util/errors.ts'

export interface StoredCertificate extends Certificate {
  /** Of a file with certificate and key in PEM. */
  readonly path: string
}

export interface CertificatesDeps {
  /** Made where it is missing. */
  readonly directory: string
  /** Unix time in ms. */
  readonly now: () => number
  /** Told what an operator should know of the files. */
  readonly warn: (message: string, facts: Readonly<Record<string, unknown>>) => void
}

export class Certificates {
  readonly #deps: CertificatesDeps
  #updating: Promise<void> = Promise.resolve()
  #all: readonly StoredCertificate[] = []
  #current: StoredCertificate | undefined
  #next: StoredCertificate | undefined

  constructor(deps: CertificatesDeps) {
    this.#deps = deps
  }

  /** What is to be served now; `update` was called before. */
  get current(): StoredCertificate {
    return there(this.#current)
  }

  /** What will be served after it. */
  get next(): StoredCertificate {
    return there(this.#next)
  }

  /** When `next` becomes `current` at an update. */
  get rollAtMs(): number {
    return this.next.startMs + clockSkewMs
  }

  /** What addresses end with. */
  get suffix(): string {
    const hashes = new Set([this.current.hashText, this.next.hashText])
    return [...hashes].map((hash) => `/certhash/${hash}`).join('')
  }

  /** The hashes of addresses that clients may hold, those of past certificates too. */
  get hashes(): Uint8Array[] {
    return this.#all.map(({ hash }) => hash)
  }

  /**
   * Finds out which certificates hold now, and makes those that are missing. Rejects where these cannot be read or kept;
   * `current` is right nevertheless if it was there.
   */
  update(): Promise<void> {
    this.#updating = this.#updating.catch(() => {}).then(() => this.#update())
    return this.#updating
  }

  async #update(): Promise<void> {
    const nowMs = this.#deps.now()
    let all = await this.#load(nowMs)
    const serves = ({ startMs, endMs }: Certificate): boolean =>
      startMs + clockSkewMs <= nowMs && nowMs < endMs - clockSkewMs / 2
    let current = all.findLast(serves)
    if (current === undefined) {
      current = await this.#make(Math.floor(nowMs / 1_000) * 1_000 - clockSkewMs)
      all = [...all, current]
    }
    const nextStartMs = current.startMs + validMs - 2 * clockSkewMs
    const { startMs: from } = current
    const follows = ({ startMs }: Certificate): boolean =>
      startMs > from + validMs / 2 && startMs <= nextStartMs
    this.#all = all
    this.#current = current
    let next = all.find(follows)
    if (next === undefined) {
      next = await this.#make(nextStartMs)
      all = [...all, next]
    }
    this.#all = all
    this.#next = next
  }

  /** Returns those on disk, the eldest first, without those that nobody can ask for any more. */
  async #load(nowMs: number): Promise<StoredCertificate[]> {
    const { directory } = this.#deps
    const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
      // Not to be taken for none: a directory that cannot be read now (too many files are open) has them still.
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return []
      throw error
    })
    const loaded: StoredCertificate[] = []
    for (const name of names.filter((each) => /^\d+\.pem$/.test(each))) {
      const path = join(directory, name)
      const certificate = await this.#read(path)
      if (certificate === undefined) continue
      if (certificate.endMs + validMs < nowMs) await unlink(path).catch(() => {})
      else loaded.push(certificate)
    }
    return loaded.sort((a, b) => a.startMs - b.startMs)
  }

  /** A file that is no certificate is put aside, with a warning, so that a new one can take its place. */
  async #read(path: string): Promise<StoredCertificate | undefined> {
    try {
      const file = await readPrivateFile(path)
      if (file === undefined) return undefined
      const certificate = await readCertificate(Buffer.from(file.bytes).toString())
      for (const warning of file.warnings) this.#deps.warn(warning, {})
      return { ...certificate, path }
    } catch (error) {
      // What is in it is not known: it may be read the next time, or when its owner is put right.
      if (error instanceof KitsuneError && error.code === 'SECRET_FILE_UNREADABLE') throw error
      const message = 'A certificate of the WebTransport door is broken; addresses that name it lead nowhere'
      this.#deps.warn(message, { path, kept: `${path}.broken`, reason: describeError(error) })
      await rename(path, `${path}.broken`).catch(() => {})
      return undefined
    }
  }

  /** Another process may have made the same in the meantime: that one holds. */
  async #make(startMs: number): Promise<StoredCertificate> {
    const path = join(this.#deps.directory, `${startMs / 1_000}.pem`)
    await createPrivateFile(path, Buffer.from(await makeCertificate(startMs)))
    return {
      ...(await readCertificate(Buffer.from(there(await readPrivateFile(path)).bytes).toString())),
      path,
    }
  }
}

function there<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('the certificates of the WebTransport door are not there')
  return value
}
