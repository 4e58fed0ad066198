import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Served, serveHttp } from '#src/http/serve.ts'
import type { KitsuneError } from '#src/util/errors.ts'

let room: string
let path: string
const running: Served[] = []

beforeEach(async () => {
  room = await mkdtemp(join(tmpdir(), 'kitsune-socket-'))
  path = join(room, 'admin.sock')
})
afterEach(async () => {
  await Promise.all(running.splice(0).map((served) => served.stop()))
  await rm(room, { recursive: true })
})

async function serve(at = path): Promise<Served> {
  const served = await serveHttp(() => new Response('hi'), { path: at })
  running.push(served)
  return served
}

const fault = (at = path) =>
  serve(at).then(
    () => 'listens',
    (error: KitsuneError) => `${error.code} ${error.facts.path} ${error.message}`,
  )

async function ask(): Promise<string> {
  const { stdout } = await promisify(execFile)('curl', ['-sS', '--unix-socket', path, 'http://admin/x'])
  return stdout
}

test('curl is answered, nobody but owner and group may, and stop takes the file away', async () => {
  const umask = process.umask()
  const served = await serve()
  expect(process.umask()).toBe(umask)
  expect(served.address).toEqual({ path })
  expect((await stat(path)).mode & 0o7777).toBe(0o660)
  expect(await ask()).toBe('hi')
  await served.stop()
  await expect(stat(path)).rejects.toThrow('ENOENT')
  await serve()
  expect(await ask()).toBe('hi')
})

test('the file of a process that was killed is taken over', async () => {
  const child = spawn(process.execPath, [
    '-e',
    `require('node:http').createServer().listen(${JSON.stringify(path)}, () => console.log('up'))`,
  ])
  await once(child.stdout, 'data')
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
  expect((await stat(path)).isSocket()).toBe(true)
  await serve()
  expect(await ask()).toBe('hi')
})

describe('nothing of anybody else is taken', () => {
  test('a socket on which somebody answers', async () => {
    const other = createServer().listen(path)
    await once(other, 'listening')
    expect(await fault()).toStartWith(`socket-in-use ${path} another process listens`)
    expect((await stat(path)).isSocket()).toBe(true)
    other.close()
  })

  test('a file, and a link to one', async () => {
    await writeFile(path, 'mine')
    expect(await fault()).toStartWith(`socket-not-a-socket ${path}`)
    const link = join(room, 'link.sock')
    await symlink(path, link)
    expect(await fault(link)).toStartWith(`socket-not-a-socket ${link}`)
    expect(await Bun.file(path).text()).toBe('mine')
  })
})

test('a directory that is not there is named, with what makes it', async () => {
  expect(await fault(join(room, 'none', 'admin.sock'))).toMatch(/^socket-no-directory .*RuntimeDirectory=/)
  await writeFile(join(room, 'file'), '')
  expect(await fault(join(room, 'file', 'admin.sock'))).toStartWith('socket-no-directory')
})
