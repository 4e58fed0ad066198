/** Waits until a number has stayed the same for 50 turns of the event loop, a millisecond each; fails after 10 s. */
export async function untilSettled(read: () => number): Promise<void> {
  const deadlineMs = performance.now() + 10_000
  let last = read()
  for (let same = 0; same < 50; same++) {
    if (performance.now() > deadlineMs) throw new Error(`did not settle in 10 s: ${read}`)
    await new Promise((resolve) => setTimeout(resolve, 1))
    const now = read()
    if (now !== last) same = 0
    last = now
  }
}
