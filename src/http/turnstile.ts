/**
 * Lets so many through at once, in all and of one kind. Memory: a kind is known only while one of it is inside.
 */
export class Turnstile {
  readonly #total: number
  readonly #perKind: number
  readonly #inside = new Map<string, number>()
  #count = 0

  constructor(total: number, perKind: number) {
    this.#total = total
    this.#perKind = perKind
  }

  /** Lets one in and returns how it leaves (calling it again does nothing); undefined when there is no room. */
  enter(kind: string): (() => void) | undefined {
    const count = this.#inside.get(kind) ?? 0
    if (this.#count >= this.#total || count >= this.#perKind) return undefined
    this.#count++
    this.#inside.set(kind, count + 1)
    let inside = true
    return () => {
      if (!inside) return
      inside = false
      this.#count--
      const left = (this.#inside.get(kind) ?? 1) - 1
      if (left > 0) this.#inside.set(kind, left)
      else this.#inside.delete(kind)
    }
  }
}
