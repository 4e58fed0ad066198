import { expect, test } from 'bun:test'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createPrivateFile } from '#src/p2p/private-file.ts'

test('a file that cannot be written leaves nothing, however often it is tried', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'kitsune-private-'))
  // What fails after the file was opened, as on a full disk.
  const unwritable = 1 as unknown as Uint8Array
  for (let time = 0; time < 3; time++)
    await expect(createPrivateFile(join(directory, 'key'), unwritable)).rejects.toThrow('cannot be written')
  expect(await readdir(directory)).toEqual([])
  await rm(directory, { recursive: true })
})
