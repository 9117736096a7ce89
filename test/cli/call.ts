import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Parts } from '../../engine/components.ts'
import { lint } from '../../engine/cli/lint.ts'
import { list } from '../../engine/cli/list.ts'
import { main } from '../../engine/cli/program.ts'
import { show } from '../../engine/cli/show.ts'
import { test } from '../../engine/cli/test.ts'
import { catalog } from '../engine/catalog.ts'

/** The program with the small catalog, in this process: what it prints, and its exit code. */
export async function call (...argv: string[]): Promise<{ code: number, out: string, err: string }> {
  let out = '', err = ''
  const code = await main(argv, catalog as Parts, [lint, test, list, show], {
    writeOut: text => { out += text }, writeErr: text => { err += text }, getOutHasColors: () => false, getErrHasColors: () => false
  })
  return { code, out, err }
}

/** Files in a folder of their own; `remove` when done. */
export function files (contents: Record<string, string>): { path (name: string): string, remove (): void } {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-cli-'))
  for (const [name, text] of Object.entries(contents)) writeFileSync(join(folder, name), text)
  return { path: name => join(folder, name), remove: () => { rmSync(folder, { recursive: true }) } }
}

export const good = `name: boiler
from: { plant: { password: hush, url: "plant://me:pw@host" } }
time: { lateness: 5s }
pipe: [ ewma ]
alerts:
  hot: { when: { ewma: { above: 100 } }, to: [ hook: { url: http://x, secret: whsec } ] }
to: [ table: { table: readings } ]
tests:
  - name: a spike is averaged away
    given: |
      00:00:00 b/temp 80
      00:00:01 b/temp 200
    expect: { hot: [] }
  - name: heat is not
    given: |
      00:00:00 b/temp 800
    expect: { hot: [ { time: 00:00:00, state: firing } ] }
`
