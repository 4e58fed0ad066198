/**
 * The certificates of the web port: which one a client gets, and how they change while the port is open. Whoever
 * renews them (certbot, cert-manager, acme.sh, a person) replaces files, swaps links or writes in place, and the key
 * may be there before its certificate: so files are looked at every few seconds, and read once they are still.
 *
 * Invariant: what is in use is a pair that fits together; one that does not, or is expired, leaves the old one in its place.
 * A connection keeps the certificate that it began with. Memory: one pair per entry of the configuration.
 */

import { readFile, stat } from 'node:fs/promises'
import type { SecureContext } from 'node:tls'
import type { CertificatePaths } from '#src/config/config.ts'
import { type CertificatePair, readCertificatePair } from '#src/p2p/web/certificate-pair.ts'
import type { Log } from '#src/telemetry/log.ts'
import { describeError, KitsuneError } from '#src/util/errors.ts'

/** What became of files that had changed. */
export const reloadOutcomes = ['taken', 'refused'] as const

/** A certificate in use, as an operator sees it. */
export interface CertificateStatus {
  /** Its first name. */
  readonly name: string
  readonly names: readonly string[]
  /** In ms since 1970. */
  readonly notAfterMs: number
}

export interface CertificatesOptions {
  /** How often the files are looked at. Default 2 s: a change is in use after twice that. */
  readonly pollMs?: number
  /** Default: the clock. */
  readonly now?: () => number
}

interface Entry {
  readonly paths: CertificatePaths
  pair: CertificatePair | undefined
  /** What the files were like when they were taken, when they were last looked at, and when they were refused. */
  taken?: string
  seen?: string
  refused?: string
  /** Days at which its end was last warned of. */
  warned: number
}

const dayMs = 24 * 3_600_000
/** Days before its end at which a certificate is warned of; Let's Encrypt's clients renew at 30. */
const warnAtDays = [14, 7, 3, 1, 0]
/** One that is valid for a few days is renewed when half of that is over: before that nothing is late. */
const renewedAtPart = 1 / 2
/** A certificate with its chain has a few KiB. */
const maxFileBytes = 1024 * 1024

export class Certificates {
  /** Changes of files, by what became of them. */
  readonly reloads = Object.fromEntries(reloadOutcomes.map((outcome) => [outcome, 0])) as Record<
    (typeof reloadOutcomes)[number],
    number
  >
  readonly #log: Log
  readonly #entries: readonly Entry[]
  readonly #pollMs: number
  readonly #now: () => number
  #byName = new Map<string, CertificatePair>()
  #timer: ReturnType<typeof setTimeout> | undefined
  #loading: Promise<void> | undefined
  readonly #ready = Promise.withResolvers<void>()
  #stopped = false

  constructor(paths: readonly CertificatePaths[], log: Log, options: CertificatesOptions = {}) {
    this.#entries = paths.map((each) => ({ paths: each, pair: undefined, warned: Number.POSITIVE_INFINITY }))
    this.#log = log
    this.#pollMs = options.pollMs ?? 2_000
    this.#now = options.now ?? Date.now
  }

  /** Certificates in use, in the order of the configuration. */
  get status(): CertificateStatus[] {
    return this.#pairs.map(({ names, notAfterMs }) => ({ name: names[0] ?? '', names, notAfterMs }))
  }

  /** The hosts that they are for. */
  get names(): string[] {
    return [...this.#byName.keys()]
  }

  /** Settles when each of them can be used: it may come later than the port. */
  get ready(): Promise<void> {
    return this.#ready.promise
  }

  /** Reads them all and watches them from now on. Rejects with every one that cannot be used. */
  load(): Promise<void> {
    this.#loading ??= this.#load()
    return this.#loading
  }

  /** Returns what a client gets that asks for `name`: the one with that name, or a wildcard for it, or the first one. */
  contextFor(name: string | undefined): SecureContext {
    const host = name?.toLowerCase().replace(/\.$/, '') ?? ''
    const found = this.#byName.get(host) ?? this.#byName.get(host.replace(/^[^.]+/, '*')) ?? this.#pairs[0]
    if (found === undefined) throw new Error('certificates are used before they are loaded')
    return found.context
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }

  get #pairs(): CertificatePair[] {
    return this.#entries.map(({ pair }) => pair).filter((pair) => pair !== undefined)
  }

  async #load(): Promise<void> {
    const faults: string[] = []
    for (const entry of this.#entries) {
      const stamp = await stampOf(entry.paths)
      try {
        this.#use(entry, await this.#read(entry.paths))
        entry.taken = stamp
      } catch (error) {
        const reason = reasonOf(entry.paths, error)
        entry.refused = stamp + reason
        faults.push(reason)
      }
    }
    this.#pollLater()
    if (faults.length > 0) throw new Error(faults.join('; '))
  }

  #pollLater(): void {
    if (this.#stopped) return
    this.#timer = setTimeout(() => void this.#poll().finally(() => this.#pollLater()), this.#pollMs)
    this.#timer.unref()
  }

  async #poll(): Promise<void> {
    for (const entry of this.#entries) {
      const stamp = await stampOf(entry.paths)
      // A file that is being written changes from one look to the next.
      const still = stamp === entry.seen
      entry.seen = stamp
      if (still && stamp !== entry.taken) await this.#renew(entry, stamp)
      this.#warnOfEnd(entry)
    }
  }

  /** Takes files that have changed; what was refused is tried again, since not all reasons for it are in the files. */
  async #renew(entry: Entry, stamp: string): Promise<void> {
    try {
      const pair = await this.#read(entry.paths)
      if ((await stampOf(entry.paths)) !== stamp || this.#stopped) return
      entry.taken = stamp
      delete entry.refused
      if (pair.digest === entry.pair?.digest) return
      this.#use(entry, pair)
      this.reloads.taken++
      const until = new Date(pair.notAfterMs).toISOString()
      this.#log.info(
        { certFile: entry.paths.certFile, names: pair.names, until },
        'A new certificate is used',
      )
    } catch (error) {
      const reason = reasonOf(entry.paths, error)
      if (entry.refused === stamp + reason) return
      entry.refused = stamp + reason
      this.reloads.refused++
      const message = 'A certificate has changed and cannot be used: what was there before stays'
      this.#log.warn({ reason }, message)
    }
  }

  async #read({ certFile, keyFile }: CertificatePaths): Promise<CertificatePair> {
    const [cert, key] = await Promise.all([readText(certFile), readText(keyFile)])
    return readCertificatePair(cert, key, this.#now())
  }

  #use(entry: Entry, pair: CertificatePair): void {
    entry.pair = pair
    entry.warned = Number.POSITIVE_INFINITY
    // The first one that has a name keeps it.
    const byName = new Map<string, CertificatePair>()
    for (const each of this.#pairs)
      for (const name of each.names) if (!byName.has(name)) byName.set(name, each)
    this.#byName = byName
    if (this.#pairs.length === this.#entries.length) {
      this.#loading = this.#ready.promise
      this.#ready.resolve()
    }
    this.#warnOfEnd(entry)
  }

  #warnOfEnd(entry: Entry): void {
    const { pair, paths } = entry
    if (pair === undefined) return
    const days = (pair.notAfterMs - this.#now()) / dayMs
    const earliest = ((pair.notAfterMs - pair.notBeforeMs) / dayMs) * renewedAtPart
    const due = warnAtDays.findLast((limit) => days <= limit && limit < earliest)
    if (due === undefined || due >= entry.warned) return
    entry.warned = due
    const facts = {
      certFile: paths.certFile,
      names: pair.names,
      until: new Date(pair.notAfterMs).toISOString(),
    }
    if (days <= 0) this.#log.error(facts, 'A certificate is expired: clients turn away')
    else this.#log.warn({ ...facts, days: Math.floor(days) }, 'A certificate ends soon and was not renewed')
  }
}

async function readText(path: string): Promise<string> {
  const { size } = await stat(path)
  if (size > maxFileBytes) throw new Error(`${path} is too large for a certificate or a key`)
  return readFile(path, 'utf8')
}

/** Changes with anything that replaces, rewrites, relinks or removes one of the files. */
async function stampOf({ certFile, keyFile }: CertificatePaths): Promise<string> {
  const looks = [certFile, keyFile].map((path) =>
    stat(path, { bigint: true }).then(
      ({ dev, ino, size, mtimeNs, ctimeNs }) => [dev, ino, size, mtimeNs, ctimeNs].join(),
      (error: unknown) => describeError(error),
    ),
  )
  return (await Promise.all(looks)).join(' ')
}

/** Says which file is at fault, in one line. */
function reasonOf({ certFile, keyFile }: CertificatePaths, error: unknown): string {
  if (!(error instanceof KitsuneError)) return describeError(error)
  const { fault, reason } = error.facts
  return `${fault === 'no-key' || fault === 'mismatch' ? keyFile : certFile} ${reason}`
}
