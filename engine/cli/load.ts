import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Components } from '../components.ts'
import type { Environment } from '../environment.ts'
import { MillraceError } from '../errors.ts'
import { lint, normalise } from '../lint.ts'
import { PipelineBuilder, type Pipeline } from '../pipeline.ts'
import { isError, report, type Finding } from '../report.ts'
import { readYaml, type Read } from '../yaml.ts'

/** Reads a pipeline from a file: YAML, or a module (.ts, .js, .mjs) whose default export it is. Throws when there is no such file. */
export async function loadPipeline (file: string, components: Components, environment: Environment = { env: process.env }): Promise<Read> {
  if (/\.[mc]?[jt]s$/.test(file)) return await fromModule(file)
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    throw new MillraceError('usage/file', `the file "${file}" cannot be read: ${(cause as NodeJS.ErrnoException).code ?? (cause as Error).message}`, { help: 'name a pipeline, .yaml or .ts', cause })
  }
  return readYaml(text, components, { file, environment })
}

/** The pipeline of a file, ready to run: checked and normalised. Warnings go to stderr; errors are thrown, all in one. */
export async function load (file: string, components: Components, environment?: Environment): Promise<Pipeline> {
  const { pipeline, findings } = await loadPipeline(file, components, environment)
  if (pipeline === undefined) throw new InvalidPipeline(file, findings)
  if (findings.length > 0) process.stderr.write(report(findings))
  return normalise(pipeline, components)
}

/** A pipeline with errors. `findings` says which. */
export class InvalidPipeline extends MillraceError {
  readonly findings: readonly Finding[]
  constructor (file: string, findings: readonly Finding[]) {
    super(findings.find(isError)!.code, `${file}: ${findings.filter(isError).map(f => f.message).join('; ')}`)
    this.findings = findings
  }
}

async function fromModule (file: string): Promise<Read> {
  const failed = (message: string, help?: string): Read => ({ pipeline: undefined, findings: [{ code: 'config/invalid', level: 'error', message, help, path: [], place: { file, line: 1, column: 1, length: 1, text: '' } }] })
  let module: { default?: unknown }
  try {
    module = await import(pathToFileURL(resolve(file)).href)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ERR_MODULE_NOT_FOUND' && !existsSync(file)) throw new MillraceError('usage/file', `the file "${file}" cannot be read: ENOENT`, { help: 'name a pipeline, .yaml or .ts', cause: error })
    if (code === 'ERR_UNKNOWN_FILE_EXTENSION') throw new MillraceError('usage/file', `"${file}" is TypeScript, which this Node does not read`, { help: 'start with node --import tsx, or compile it', cause: error })
    if (error instanceof MillraceError) return { pipeline: undefined, findings: [{ code: error.code, level: 'error', message: `${file}: ${error.message}`, help: error.help, path: [] }] }
    return failed(`${file} cannot be loaded: ${message}`, /'millrace'|dist\/index\.js/.test(message) ? "in a checkout of Millrace, npm run build makes what 'millrace' stands for; elsewhere, npm install millrace" : undefined)
  }
  const pipeline = module.default
  if (!isPipeline(pipeline)) return { pipeline: undefined, findings: [{ code: 'config/invalid', level: 'error', message: `${file} has no pipeline as its default export`, help: "export default pipeline('name').from(...).to(...)", path: [] }] }
  const findings = lint(pipeline).map(f => ({ ...f, message: `${file}: ${f.message}` }))
  return { pipeline: findings.some(isError) ? undefined : { ...pipeline, file }, findings }
}

const isPipeline = (value: any): value is Pipeline => value instanceof PipelineBuilder || (typeof value?.name === 'string' && Array.isArray(value.steps) && Array.isArray(value.sinks) && typeof value.branches === 'object')
