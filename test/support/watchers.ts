/** Lets tests wait for what a peer has seen: every watcher looks again whenever it is told. */
export class Watchers {
  readonly #looks = new Set<() => void>()

  /** Something was seen. */
  tell(): void {
    for (const look of [...this.#looks]) look()
  }

  /** Resolves once `holds`; rejects after `timeoutMs` with what `describe` says came. */
  until(holds: () => boolean, timeoutMs: number, describe: () => string): Promise<void> {
    return new Promise((resolve, reject) => {
      const finish = (): void => {
        clearTimeout(timer)
        this.#looks.delete(look)
      }
      const look = (): void => {
        if (!holds()) return
        finish()
        resolve()
      }
      const timer = setTimeout(() => {
        finish()
        reject(new Error(`not in ${timeoutMs} ms: ${describe()}`))
      }, timeoutMs)
      this.#looks.add(look)
      look()
    })
  }
}
