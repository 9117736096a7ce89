/**
 * Reads TypeScript for the tests: `node --import ./test/support/typescript.mjs FILE`. Each test file is a process of its own, and with
 * tsx two of its four CPU seconds went into reading the engine. Here what esbuild makes of a file is kept, packages are 40 files
 * instead of 1,500, and tap, which looks for the source map of every file that it hears of, hears nothing of packages.
 */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { register } from 'node:module'
import { basename } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { isMainThread, parentPort } from 'node:worker_threads'

/** What is imported by name and is many files; build.mjs makes few of them. Not pino: its threads are started from its own files. */
export const PACKAGES = [
  '@fastify/fast-json-stringify-compiler', '@fastify/rate-limit', '@fastify/swagger', '@nats-io/jetstream', '@nats-io/transport-node', '@redis/client', 'ajv', 'ajv-formats', 'ajv/dist/2020.js', 'commander',
  'csv-parse/sync', 'fast-check', 'fastify', 'ipaddr.js', 'jose', 'mqtt', 'mqtt-packet', 'nodemailer', 'pg', 'pg-copy-streams', 'prom-client', 'rxjs', 'tap', 'typebox', 'yaml'
]
export const packaged = fileURLToPath(new URL('../../.built/node_modules', import.meta.url))
/** Where a package stands in there. What tap tells of a failure leaves out lines of node_modules/@tapjs, which are its own. */
export const placeOf = name => `${name === 'tap' ? '@tapjs/tap' : name}/index`
const packages = new Map(PACKAGES.map(name => [name, `${packaged}/${placeOf(name)}.js`]))
const kept = fileURLToPath(new URL('../../node_modules/.cache/millrace', import.meta.url))
const own = readFileSync(new URL(import.meta.url))       // how it is made belongs to what is kept

if (isMainThread || parentPort !== null) register(import.meta.url)       // not in the loader's own thread

export function resolve (name, context, next) {
  if (name.startsWith('.') && name.endsWith('.ts')) return { url: new URL(name, context.parentURL).href, format: 'module', shortCircuit: true }
  if (name.startsWith('node:')) return { url: name, format: 'builtin', shortCircuit: true }
  const file = packages.get(name)
  return file !== undefined && existsSync(file) ? { url: pathToFileURL(file).href, format: 'module', shortCircuit: true } : next(name, context)
}

export async function load (url, { format }, next) {
  if (format === 'builtin' || format === 'commonjs') return { format, source: null, shortCircuit: true }
  if (url.endsWith('.ts')) return { format: 'module', source: await compiled(fileURLToPath(url)), shortCircuit: true }
  return format === 'module' && url.includes('/node_modules/') ? { format, source: readFileSync(new URL(url)), shortCircuit: true } : next(url)
}

/** The JavaScript of a file, kept by its text and its name: another text is never taken for it. */
export async function compiled (path) {
  const text = readFileSync(path, 'utf8'), sourcefile = basename(path)
  const file = `${kept}/${createHash('sha1').update(own).update(`${sourcefile}\n${text}`).digest('hex')}.js`
  if (existsSync(file)) return readFileSync(file, 'utf8')
  const { transform } = await import('esbuild')
  const { code } = await transform(text, { sourcefile, loader: 'ts', format: 'esm', target: 'node20', sourcemap: 'inline', sourcesContent: false, tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } } })
  mkdirSync(kept, { recursive: true })
  writeFileSync(`${file}.${process.pid}`, code)
  renameSync(`${file}.${process.pid}`, file)
  return code
}
