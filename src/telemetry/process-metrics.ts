/**
 * What the process itself costs: event-loop lag, memory, CPU, open files. Node's `monitorEventLoopDelay` is not
 * used because Deno reports figures that are wrong by orders of magnitude; a timer that looks at its own
 * lateness is right on every runtime. Memory: one histogram.
 */
import { readdirSync } from 'node:fs'
import { Histogram } from '#src/util/histogram.ts'

export interface ProcessReading {
  readonly residentBytes: number
  readonly heapUsedBytes: number
  readonly heapTotalBytes: number
  readonly externalBytes: number
  readonly userCpuSeconds: number
  readonly systemCpuSeconds: number
}

/** Ten looks a second: blocks of 100 ms are always seen, at no measurable cost. */
const lookEveryMs = 100

export class ProcessMetrics {
  /** How late the event loop came to a timer that was due. */
  readonly loopLagMs = new Histogram([1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500])
  /** When the process began, in seconds since 1970. */
  readonly startSeconds = Date.now() / 1000 - process.uptime()
  #timer: ReturnType<typeof setInterval> | undefined

  /** Begins to measure lag. Does not keep the process alive. */
  start(): void {
    if (this.#timer !== undefined) return
    let lastMs = performance.now()
    this.#timer = setInterval(() => {
      const nowMs = performance.now()
      this.loopLagMs.observe(Math.max(0, nowMs - lastMs - lookEveryMs))
      lastMs = nowMs
    }, lookEveryMs)
    this.#timer.unref()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  /** Returns the figures of now. */
  read(): ProcessReading {
    const memory = process.memoryUsage()
    const cpu = process.cpuUsage()
    return {
      residentBytes: memory.rss,
      heapUsedBytes: memory.heapUsed,
      heapTotalBytes: memory.heapTotal,
      externalBytes: memory.external,
      userCpuSeconds: cpu.user / 1e6,
      systemCpuSeconds: cpu.system / 1e6,
    }
  }

  /** Returns the number of open file descriptors, `undefined` where the system does not say it cheaply. */
  countOpenFiles(): number | undefined {
    if (process.platform !== 'linux') return undefined
    try {
      // One of them is the directory being read.
      return readdirSync('/proc/self/fd').length - 1
    } catch {
      return undefined
    }
  }
}
