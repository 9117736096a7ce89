/**
 * Reads TypeScript for the tests: `node --import ./test/support/typescript.mjs FILE`. Each test file is a process of its own, and with
 * tsx two of its four CPU seconds went into reading the engine. Here what esbuild makes of a file is kept, typebox is one file
 * instead of 700, and tap, which looks for the source map of every file that it hears of, hears nothing of packages.
 */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { register } from 'node:module'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isMainThread, parentPort } from 'node:worker_threads'

const kept = fileURLToPath(new URL('../../node_modules/.cache/millrace', import.meta.url))
const typebox = new URL('../../.built/typebox.js', import.meta.url)
const isBundled = existsSync(typebox)
const own = readFileSync(new URL(import.meta.url))       // how it is made belongs to what is kept

if (isMainThread || parentPort !== null) register(import.meta.url)       // not in the loader's own thread

export const resolve = (name, context, next) => name === 'typebox' && isBundled ? { url: typebox.href, format: 'module', shortCircuit: true } : next(name, context)

export async function load (url, context, next) {
  if (url.includes('/node_modules/')) return context.format === 'module' ? { format: 'module', source: readFileSync(new URL(url)), shortCircuit: true } : next(url, context)
  return url.endsWith('.ts') ? { format: 'module', source: await compiled(fileURLToPath(url)), shortCircuit: true } : next(url, context)
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
