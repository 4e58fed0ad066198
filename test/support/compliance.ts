import { mock } from 'bun:test'
import { readFile } from 'node:fs/promises'
import * as chai from 'chai'
import chaiAsPromised from 'chai-as-promised'

/**
 * libp2p's compliance suites under `bun test`. They are written for mocha and for aegir's chai: this gives them the
 * words of the one (`mocha.ts`), and chai with what aegir adds to it. (aegir itself is a build system with a thousand
 * dependencies; package.json puts chai in its place.)
 */
export async function complianceSuite<Setup>(
  load: () => Promise<{ default: (setup: Setup) => void }>,
): Promise<(setup: Setup) => void> {
  mock.module('aegir/chai', () => ({ expect: chai.expect }))
  const words = JSON.stringify(import.meta.resolve('./mocha.ts').replace('file://', ''))
  Bun.plugin({
    name: 'mocha',
    setup(build) {
      build.onLoad({ filter: /interface-compliance-tests\/dist\/.*\.js$/ }, async ({ path }) => ({
        // On the first line, so that positions stay what they are.
        contents: `import { describe, it, before, after, beforeEach, afterEach } from ${words}; ${await readFile(path, 'utf8')}`,
        loader: 'js',
      }))
    },
  })
  return (await load()).default
}

chai.use(chaiAsPromised)
chai.use(({ Assertion }, { flag }) => {
  Assertion.addMethod('equalBytes', function (expected: Uint8Array) {
    const same = Buffer.from(flag(this, 'object') as Uint8Array).equals(expected)
    this.assert(
      same,
      'expected #{this} to have the same bytes as #{exp}',
      'expected other bytes than #{exp}',
      expected,
    )
  })
  // `expect(it).to.be.true()`: chai's own have no parentheses. The suites go on behind `rejected` with and without.
  for (const name of ['exist', 'true', 'false', 'empty', 'rejected']) {
    const { get } = Object.getOwnPropertyDescriptor(Assertion.prototype, name) ?? {}
    if (get === undefined) throw new Error(`chai has no ${name}`)
    Object.defineProperty(Assertion.prototype, name, {
      get() {
        const asserted = get.call(this)
        return Object.defineProperty(() => asserted, 'with', { get: () => asserted.with })
      },
    })
  }
})
