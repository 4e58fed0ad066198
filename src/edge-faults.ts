import process from 'node:process'

/**
 * Faults that nobody caught: a library that throws in a callback of its own, when a connection ends at the wrong
 * moment. Thousands of clients are served by this process; one of them must not end it for all others.
 */

/** Keeps the process alive through them, and reports each; returns how to stop that. */
export function watchFaults(report: (error: unknown) => void): () => void {
  process.on('uncaughtException', report)
  process.on('unhandledRejection', report)
  return () => {
    process.off('uncaughtException', report)
    process.off('unhandledRejection', report)
  }
}
