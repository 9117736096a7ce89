/** Before the tests: the command as it is published, which they start many times (see program.ts), packages in few files (tap's with domain.mjs), and JavaScript of all that they read (see typescript.mjs). */
import { readdirSync, rmSync } from 'node:fs'
import { build } from 'esbuild'
import { bundle } from '../../.ci/bundle.ts'
import { compiled, PACKAGES, packaged, placeOf } from './typescript.mjs'

rmSync('.built', { recursive: true, force: true })
await bundle('.built')
await build({
  entryPoints: PACKAGES.map(name => ({ in: name, out: placeOf(name) })), outdir: packaged, chunkNames: 'shared-[hash]',
  bundle: true, splitting: true, format: 'esm', platform: 'node', target: 'node20', keepNames: true, external: ['pino', 'pg-native'], alias: { 'async-hook-domain': './test/support/domain.mjs' }, plugins: [{ name: 'all that it exports', setup: exports }],
  banner: { js: "import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);" }
})
for (const folder of ['engine', 'connectors', 'operators', 'models', 'sinks', 'bench', 'test']) {
  await Promise.all(readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.ts')).map(name => compiled(`${folder}/${name}`)))
}

/** What is CommonJS exports by name what Node finds there, where esbuild would export it whole only. */
function exports ({ onResolve, onLoad }) {
  onResolve({ filter: /./ }, ({ kind, path }) => kind === 'entry-point' ? { path, namespace: 'package' } : undefined)
  onLoad({ filter: /./, namespace: 'package' }, async ({ path }) => ({ contents: `export { ${Object.keys(await import(path)).filter(name => name !== 'module.exports').join(', ')} } from '${path}'`, resolveDir: '.' }))
}
