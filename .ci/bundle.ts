/**
 * Each entry with all that it imports in one file, and what several of them import in files that they share. The command starts with
 * 0.6 s of CPU so, where 250 files of ours and 1,700 of packages take 1 s, and tsx 1.7 s; after a kill that is a part of the time until
 * it is back. Packages that are imported on demand stay outside, and npm installs them: fastify and aedes among them, which strangers
 * can reach and whose mends must reach users without us.
 */
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { build, transform, type Metafile, type Plugin } from 'esbuild'

const BUNDLED = ['@nats-io/jetstream', '@nats-io/transport-node', 'ajv', 'ajv-formats', 'commander', 'csv-parse', 'ipaddr.js', 'mqtt', 'nodemailer', 'pg', 'pg-copy-streams', 'prom-client', 'rxjs', 'typebox', 'yaml']
/** Packages that are CommonJS ask for modules of Node by it. */
const REQUIRE = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);"

/** rxjs for Node is CommonJS, of which nothing can be left out. */
const ALIAS = { rxjs: './node_modules/rxjs/dist/esm/index.js' }
/** pg asks for `Response` to know where it runs, and Node loads all of `fetch` to answer. In that file alone: tokens need theirs. */
const UNASKED: Plugin = { name: 'unasked', setup (to) { to.onLoad({ filter: /node_modules\/pg\/lib\/stream\.js$/ }, ({ path }) => ({ contents: `const Response = undefined\n${readFileSync(path, 'utf8')}` })) } }

export async function bundle (outdir: string): Promise<void> {
  const { dependencies, optionalDependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as Record<'dependencies' | 'optionalDependencies', Record<string, string>>
  const { outputFiles, metafile } = await build({
    entryPoints: ['index.ts', 'engine/index.ts', 'engine/main.ts'], outbase: '.', outdir, chunkNames: 'engine/shared-[hash]', banner: { js: REQUIRE },
    alias: ALIAS, plugins: [UNASKED], bundle: true, splitting: true, format: 'esm', platform: 'node', target: 'node20', logLevel: 'warning', write: false, metafile: true,
    external: [...Object.keys({ ...dependencies, ...optionalDependencies }).filter(name => !BUNDLED.includes(name)), 'pg-native']
  })
  const bare = Object.values(metafile.outputs).map(({ entryPoint = '' }) => entryPoint).find(file => metafile.inputs[file]?.format === 'cjs')
  if (bare !== undefined) throw new Error(`${bare} is CommonJS, part of the build, and imported on demand: no name of it would be found. Import a file of ours that imports it`)
  for (const { path, text } of outputFiles) {
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, await constant(text))
  }
  writeFileSync(`${outdir}/licences.txt`, licences(metafile))
  chmodSync(`${outdir}/engine/main.js`, 0o755)
  runsAlone(outdir)
}

/** The licences of all packages of which something stands in the bundle. Throws for a package without one. */
function licences ({ inputs }: Metafile): string {
  const folders = new Set(Object.keys(inputs).flatMap(path => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? []))
  return [...folders].sort().map(folder => {
    const { name, version } = JSON.parse(readFileSync(`${folder}/package.json`, 'utf8')) as Record<'name' | 'version', string>
    const file = readdirSync(folder).find(name => /^(licen[cs]e|readme)/i.test(name) && /permission|licen[cs]e/i.test(readFileSync(`${folder}/${name}`, 'utf8')))
    if (file === undefined) throw new Error(`${name} has no licence that could go with the bundle`)
    return `== ${name} ${version}\n\n${readFileSync(`${folder}/${file}`, 'utf8').trim()}\n`
  }).join('\n')
}

const ASSIGNED = String.raw`\s*(?:[-+*/%&|^]|\*\*|<<|>>>?|\?\?|\|\||&&)?=(?![=>])`
/**
 * The constants of modules as such again: esbuild makes variables of them, and V8 folds none into the code that uses it, which costs
 * a detector half as much again. What may be assigned to later stays a variable; esbuild itself looks whether one was overlooked.
 */
async function constant (text: string): Promise<string> {
  const isAssigned = (name: string, once: number): boolean => {
    const it = name.replaceAll('$', '\\$')
    return [...text.matchAll(new RegExp(`(?<![\\w$.])${it}(?![\\w$])(?:${ASSIGNED}|\\+\\+|--)|(?:\\+\\+|--)${it}(?![\\w$])`, 'g'))].length > once
  }
  const made = text
    .replaceAll(/^var (?=([\w$]+) = )/gm, (all, name: string) => isAssigned(name, 1) ? all : 'const ')
    .replaceAll(/^var (?=\{ ([^{}=]+) \} = )/gm, (all, names: string) => names.split(',').some(part => isAssigned(part.split(':').at(-1)!.replace('...', '').trim(), 0)) ? all : 'const ')
  await transform(made, { format: 'esm', logLevel: 'silent', logOverride: { 'assign-to-constant': 'error' } })
  return made
}

/** What stands in a folder runs without tsx. */
export const runsAlone = (folder: string): void => writeFileSync(`${folder}/package.json`, `${JSON.stringify({ type: 'module', imports: { '#engine': './engine/index.js' } }, null, 2)}\n`)
