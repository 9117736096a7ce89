/** Before the tests: the command as it is published, which they start many times (see program.ts), typebox in one file, and JavaScript of all that they read (see typescript.mjs). */
import { readdirSync, rmSync } from 'node:fs'
import { build } from 'esbuild'
import { bundle } from '../../.ci/bundle.ts'
import { compiled } from './typescript.mjs'

rmSync('.built', { recursive: true, force: true })
await bundle('.built')
await build({ entryPoints: ['typebox'], bundle: true, format: 'esm', platform: 'node', target: 'node20', keepNames: true, outfile: '.built/typebox.js' })
for (const folder of ['engine', 'connectors', 'operators', 'models', 'sinks', 'bench', 'test']) {
  await Promise.all(readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.ts')).map(name => compiled(`${folder}/${name}`)))
}
