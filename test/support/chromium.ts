/**
 * Debian's Chromium, headless, with pages that reach nothing but this machine.
 *
 * Its profile is a temporary directory that playwright makes and removes; each page has a context of its own, so that
 * no two share storage.
 */
import { accessSync, constants } from 'node:fs'
import { type Browser, chromium, type Page } from 'playwright-core'
import { opensslAvailable } from '#test/support/tls-door.ts'
import { Watchers } from '#test/support/watchers.ts'

const executablePath = '/usr/bin/chromium'

const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1',
  // The certificate of a test's door is nobody's.
  '--ignore-certificate-errors',
]
/** WebTransport needs QUIC; pages of other tests are to do without. */
const withoutQuic = '--disable-quic'

export interface ChromiumOptions {
  /** Default: false. */
  readonly quic?: boolean
}

/** Whether Chromium and what its tests need are here. */
export function chromiumAvailable(): boolean {
  try {
    accessSync(executablePath, constants.X_OK)
    return opensslAvailable()
  } catch {
    return false
  }
}

/** What became of a request that a page made. */
export interface PageRequest {
  readonly url: string
  readonly method: string
  /** 0: no answer. */
  readonly status: number
  /** The whole body; undefined where it was cut short. */
  readonly body: string | undefined
}

/** An open page. */
export interface BrowserPage {
  /** Resolves with the text of an element once it has some; rejects with what the page printed. */
  text(selector: string, timeoutMs?: number): Promise<string>
  /** Resolves with the first request, past or future, that has ended and matches. */
  requested(matches: (request: PageRequest) => boolean, timeoutMs?: number): Promise<PageRequest>
  /** Writes a picture of the whole page, as a PNG. */
  screenshot(path: string): Promise<void>
  /** Closes it with all that it stored. */
  close(): Promise<void>
}

/** A running browser. */
export interface ChromiumBrowser {
  readonly version: string
  open(url: string): Promise<BrowserPage>
  stop(): Promise<void>
}

/** Starts a browser. */
export async function startChromium({ quic = false }: ChromiumOptions = {}): Promise<ChromiumBrowser> {
  const args = quic ? flags : [...flags, withoutQuic]
  const browser: Browser = await chromium.launch({ executablePath, args })
  return {
    version: browser.version(),
    async open(url) {
      const context = await browser.newContext()
      const page = await context.newPage()
      const watched = watch(page)
      await page.goto(url)
      return { ...watched, close: () => context.close() }
    },
    stop: () => browser.close(),
  }
}

function watch(page: Page): Omit<BrowserPage, 'close'> {
  const printed: string[] = []
  const ended: PageRequest[] = []
  const watchers = new Watchers()
  page.on('console', (message) => printed.push(message.text()))
  page.on('pageerror', (error) => printed.push(error.stack ?? String(error)))
  const book = (request: PageRequest): void => {
    ended.push(request)
    watchers.tell()
  }
  page.on('requestfinished', async (request) => {
    const response = await request.response()
    const body = await response?.text().catch(() => undefined)
    book({ url: request.url(), method: request.method(), status: response?.status() ?? 0, body })
  })
  // A page that has read the whole of an answer and lets go of it may be said to have aborted it.
  page.on('requestfailed', async (request) => {
    printed.push(`${request.url()}: ${request.failure()?.errorText}`)
    const response = await request.response().catch(() => null)
    book({ url: request.url(), method: request.method(), status: response?.status() ?? 0, body: undefined })
  })
  return {
    async text(selector, timeoutMs = 30_000) {
      const filled = page.locator(selector).filter({ hasText: /./ })
      await filled.waitFor({ timeout: timeoutMs }).catch((error: unknown) => {
        throw new Error(
          `no text in ${selector} after ${timeoutMs} ms; the page says:\n${printed.join('\n')}`,
          {
            cause: error,
          },
        )
      })
      return (await filled.textContent()) ?? ''
    },
    async screenshot(path) {
      await page.screenshot({ path, fullPage: true })
    },
    async requested(matches, timeoutMs = 30_000) {
      const describe = (): string => {
        const all = ended.map(({ method, url, status }) => `${method} ${url} ${status}`)
        return `${matches}; ended:\n${[...all, ...printed].join('\n')}`
      }
      await watchers.until(() => ended.some(matches), timeoutMs, describe)
      return ended.find(matches) as PageRequest
    },
  }
}
