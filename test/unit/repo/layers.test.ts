import { afterAll, beforeAll, expect, test } from 'bun:test'
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'

/** The rules about who may import what, tried on a small tree of files that break them. */

const root = resolve(import.meta.dir, '../../..')
const trespasses: Record<string, string> = {
  'src/relay/trespass-libp2p.ts': `import { createLibp2p } from 'libp2p'\nexport const it = createLibp2p\n`,
  'src/relay/trespass-node.ts': `import { createHash } from 'node:crypto'\nexport const it = createHash\n`,
  'src/relay/trespass-shell.ts': `import { Front } from '#src/p2p/front.ts'\nexport const it = Front\n`,
  'src/relay/trespass-clock.ts': 'export const it = (): number => Date.now()\n',
  'src/relay/trespass-chance.ts': 'export const it = (): number => Math.random()\n',
  'src/relay/trespass-timer.ts': 'export const it = (): unknown => setTimeout(() => 1, 1)\n',
  'src/bitswap/trespass-relay.ts': `import { Relay } from '#src/relay/relay.ts'\nexport const it = Relay\n`,
  'src/bitswap/trespass-runtime.ts': 'export const it = (): unknown => Bun.version\n',
  'src/pool/trespass-hono.ts': `import { Hono } from 'hono'\nexport const it = Hono\n`,
  'src/util/trespass-domain.ts': `import { parseCid } from '#src/bitswap/cid.ts'\nexport const it = parseCid\n`,
  'src/p2p/trespass-edge.ts': `import { startEdge } from '#src/edge.ts'\nexport const it = startEdge\n`,
  'src/mux/trespass-p2p.ts': `import { Front } from '#src/p2p/front.ts'\nexport const it = Front\n`,
  'src/config/trespass-relay.ts': `import { Relay } from '#src/relay/relay.ts'\nexport const it = Relay\n`,
  'src/edge.ts': `import { run } from '#src/cli/run.ts'\nexport const it = run\n`,
}
const allowed: Record<string, string> = {
  'src/relay/allowed.ts': `import { parseCid } from '#src/bitswap/cid.ts'\n\nexport const it = parseCid\n`,
  'src/p2p/allowed.ts': `import { Relay } from '#src/relay/relay.ts'\n\nexport const it = Relay\n`,
}

let tree: string
let report: string

beforeAll(() => {
  tree = mkdtempSync(join(tmpdir(), 'kitsune-layers-'))
  for (const [file, text] of Object.entries({ ...trespasses, ...allowed })) {
    mkdirSync(join(tree, dirname(file)), { recursive: true })
    writeFileSync(join(tree, file), text)
  }
  symlinkSync(join(root, 'node_modules'), join(tree, 'node_modules'))
  for (const file of ['lint.json', 'no-chance.grit']) {
    mkdirSync(join(tree, 'scripts'), { recursive: true })
    copyFileSync(join(root, 'scripts', file), join(tree, 'scripts', file))
  }
  const args = [
    'lint',
    '--config-path=scripts/lint.json',
    '--max-diagnostics=200',
    '--reporter=github',
    'src',
  ]
  const linter = spawnSync(join(root, 'node_modules/.bin/biome'), args, { cwd: tree, encoding: 'utf8' })
  report = linter.stdout + linter.stderr
})

afterAll(() => rmSync(tree, { recursive: true }))

test.each(Object.keys(trespasses))('%s is reported', (file) => {
  expect(report).toContain(`${file},`)
})

test.each(Object.keys(allowed))('%s is not reported', (file) => {
  expect(report).not.toContain(`${file},`)
})
