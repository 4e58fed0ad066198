/** What a simulation saw that must not be, and what it counted on the way. */
export class Verdicts {
  readonly failures: string[] = []
  /** Wants that backends took, and those that another lane had open at the same backend. */
  asks = 0
  doubleAsks = 0
  /** Blocks that a client got twice, or after it took its want back. */
  surplusBlocks = 0
  answered = 0
  dontHaves = 0
  haves = 0

  /** Notes a failure; beyond a few more of them say nothing new. */
  fail(what: string): void {
    if (this.failures.length < 20) this.failures.push(what)
  }
}
