import { afterEach } from 'bun:test'

interface Stoppable {
  stop(): Promise<unknown>
}

/** Returns a function that takes what a test started, and stops all of it after each test of the file. */
export function keepUntilAfterEach(): <T extends Stoppable>(each: T) => T {
  const running: Stoppable[] = []
  afterEach(async () => {
    await Promise.all(running.splice(0).map((each) => each.stop()))
  })
  return (each) => {
    running.push(each)
    return each
  }
}
