/** What was found of one thing: good, worth a look, or what keeps the edge from doing what it is configured for. */
export type Level = 'ok' | 'warn' | 'fail'

export interface Finding {
  readonly level: Level
  /** What was looked at: "temporary directory", "door /ip4/…", "backend http://…". */
  readonly about: string
  /** One line without a period. */
  readonly text: string
  /** The command that mends it, or what else does; what stands behind a # is for people. */
  readonly mend?: string
}

/** Makes findings about one thing. */
export function about(what: string) {
  const finding =
    (level: Level) =>
    (text: string, mend?: string): Finding => ({
      level,
      about: what,
      text,
      ...(mend !== undefined && { mend }),
    })
  return { ok: finding('ok'), warn: finding('warn'), fail: finding('fail') }
}

/** Returns a value as one word of a POSIX shell. */
export function quoted(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return `'${text.replaceAll("'", `'\\''`)}'`
}

/** Returns how a setting is given to a service of systemd. */
export function underSystemd(setting: string): string {
  return `under systemd: systemctl edit kitsune, [Service] ${setting}`
}
