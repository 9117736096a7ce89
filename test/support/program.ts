import { spawn, type ChildProcess, type ChildProcessByStdio } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'

const root = fileURLToPath(new URL('../..', import.meta.url))
/** The command, built: it starts with a fifth of the CPU that tsx takes under the coverage that tap measures by NODE_OPTIONS. */
export const MAIN = join(root, '.built/engine/main.js')

export interface Started { readonly child: ChildProcess, out: string, err: string, readonly ended: Promise<number | null>, until (what: RegExp | (() => Promise<boolean> | boolean), ms?: number): Promise<void> }

/** Starts the real program as a process of its own; ended by the test's teardown if it has not ended by itself. */
export function start (t: Test, args: readonly string[], env: Record<string, string> = {}): Started {
  const child = spawn(process.execPath, [MAIN, ...args], { cwd: root, env: { ...process.env, NODE_OPTIONS: undefined, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  const started: Started = {
    child, out: '', err: '',
    ended: new Promise(resolve => child.on('close', resolve)),
    async until (what, ms = 60_000) {
      const end = Date.now() + ms
      while (!(what instanceof RegExp ? what.test(started.err) || what.test(started.out) : await what())) {
        if (Date.now() > end || child.exitCode !== null) throw new Error(`${String(what)} has not come; stderr: ${started.err.slice(-2000)}`)
        await new Promise(resolve => setTimeout(resolve, 50))
      }
    }
  }
  child.stdout!.on('data', chunk => { started.out += chunk })
  child.stderr!.on('data', chunk => { started.err += chunk })
  const stop = () => { child.kill('SIGTERM') }        // also when the tests are cut short: it stops its database with it
  process.once('exit', stop)
  t.teardown(async () => {
    process.off('exit', stop)
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
    await started.ended
  })
  return started
}

/** Starts a program in TypeScript, which is killed: without NODE_OPTIONS, by which tap would measure it. */
export const startTypeScript = (...args: readonly string[]): ChildProcessByStdio<null, Readable, Readable> =>
  spawn(process.execPath, ['--import=./test/support/typescript.mjs', ...args], { cwd: root, env: { ...process.env, NODE_OPTIONS: undefined }, stdio: ['ignore', 'pipe', 'pipe'] })

export function temporary (t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** These parts of the repository in a folder of their own, with all packages: to be changed and built while other tests and a fault matrix run here. */
export function copied (t: Test, parts: readonly string[]): string {
  const folder = temporary(t)
  for (const part of parts) cpSync(join(root, part), join(folder, part), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  return folder
}
