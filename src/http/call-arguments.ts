import type { Parsed } from '#src/config/parsed.ts'
import { parseGoBool, parseGoDuration, parseGoInt } from '#src/http/go-values.ts'

/*
 * The query of an RPC call. Reading goes on after a fault, with what holds when nothing is said, so that a call is
 * read from top to bottom and asked once at the end whether it was all right. Options that nobody asks for are not
 * looked at: old clients send some that mean nothing any more.
 */

export class CallArguments {
  readonly #values: URLSearchParams
  #fault: string | undefined

  /** `query` is what follows the question mark. */
  constructor(query: string) {
    this.#values = new URLSearchParams(query)
  }

  /** What is wrong with the first option that is wrong, in words for the caller. */
  get fault(): string | undefined {
    return this.#fault
  }

  /** Returns every `arg`, in order. */
  args(): readonly string[] {
    return this.#values.getAll('arg')
  }

  has(...names: string[]): boolean {
    return names.some((name) => this.#values.has(name))
  }

  /** Returns an option that is on or off; off if absent. The names are spellings of one option. */
  flag(...names: string[]): boolean {
    return this.#read(names, parseGoBool) ?? false
  }

  integer(fallback: number, ...names: string[]): number {
    return this.#read(names, parseGoInt) ?? fallback
  }

  /** Returns milliseconds, or undefined if absent. */
  duration(...names: string[]): number | undefined {
    return this.#read(names, parseGoDuration)
  }

  /** Returns a text of at most `maxCharacters`; empty if absent. */
  text(maxCharacters: number, ...names: string[]): string {
    const reason = `is longer than ${maxCharacters} characters`
    const parse = (text: string): Parsed<string> =>
      text.length <= maxCharacters ? { ok: true, value: text } : { ok: false, reason }
    return this.#read(names, parse) ?? ''
  }

  /** Notes a fault, unless there is one already. */
  refuse(fault: string): void {
    this.#fault ??= fault
  }

  #read<T>(names: readonly string[], parse: (text: string) => Parsed<T>): T | undefined {
    const values = new Set<T>()
    for (const text of names.flatMap((name) => this.#values.getAll(name))) {
      const parsed = parse(text)
      if (parsed.ok) values.add(parsed.value)
      else this.refuse(`option "${names[0]}" ${parsed.reason}`)
    }
    if (values.size > 1) this.refuse(`option "${names[0]}" is given more than once`)
    return values.values().next().value
  }
}
