/**
 * npm run coverage: runs the tests and prints what they covered, in sum and of files below 80 %; fails below 80 % of lines or branches
 * in sum. By hand, as V8 then takes a fifth more CPU (simulation.test.ts: 195 instead of 162 s) and each test file 0.8 s more.
 *
 * tap's own report goes astray twice with tsx, so its files are mended first. tsx leaves the text out of its source maps
 * (sourcesContent: [null]), and the reporter believes it instead of reading the file: every file is one line. And where a
 * process has loaded a file as CommonJS too, the map of that is taken for all processes: of each file only the usual form counts.
 * Files that no test has loaded are no part of tap's figures; they count as wholly uncovered here, types alone excepted.
 */
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const MEASURED = ['engine', 'connectors', 'operators', 'models', 'sinks']
const LEAST = { lines: 80, branches: 80 } as const
const RUNS = /^(export )?(default )?(async )?(const|let|function|class)\b|^export [{*]/m     // a file without such a line declares types only
const folder = '.tap/coverage'

interface Result { readonly url: string, readonly functions: readonly { readonly ranges: readonly { readonly endOffset: number }[] }[] }
interface Map { readonly lineLengths: readonly number[], readonly data: Record<string, unknown> }
interface Coverage { readonly result: Result[], readonly 'source-map-cache': Record<string, Map> }

const isMeasured = (url: string): boolean => MEASURED.some(f => url.startsWith(new URL(`../${f}/`, import.meta.url).href))
const lengthOf = ({ lineLengths }: Map): number => lineLengths.reduce((sum, n) => sum + n + 1, -1)

const coverages = readdirSync(folder).map(name => ({ file: `${folder}/${name}`, ...JSON.parse(readFileSync(`${folder}/${name}`, 'utf8')) as Coverage }))
const usual = usualMaps()
for (const { file, result } of coverages) {
  const kept = result.filter(({ url, functions }) => usual[url] !== undefined && functions[0].ranges[0].endOffset === lengthOf(usual[url]))
  writeFileSync(file, JSON.stringify({ result: kept, 'source-map-cache': Object.fromEntries(kept.map(({ url }) => [url, usual[url]])) }))
}
const report = spawnSync('npx', ['tap', 'report', 'text', 'json-summary'], { encoding: 'utf8' })
if (report.status !== 0) throw new Error(`tap report ended with ${report.status}: ${report.stderr}`)
const low = (line: string): boolean => Math.min(...line.split('|').slice(1, 5).map(Number).filter(Number.isFinite)) < LEAST.lines
console.log(report.stdout.split('\n').filter(line => line.includes('|') && (!/\d/.test(line) || line.startsWith('All files') || low(line))).join('\n'))

const { total } = JSON.parse(readFileSync('.tap/report/coverage-summary.json', 'utf8'))
for (const part of MEASURED) {
  for (const name of readdirSync(part, { recursive: true, encoding: 'utf8' }).filter(n => n.endsWith('.ts') && !n.endsWith('.d.ts'))) {
    const url = new URL(`../${part}/${name}`, import.meta.url), text = readFileSync(fileURLToPath(url), 'utf8')
    if (usual[url.href] !== undefined || !RUNS.test(text)) continue
    console.log(`no test loads ${part}/${name}`)
    total.lines.total += text.split('\n').length
  }
}
total.lines.pct = Math.round(10_000 * total.lines.covered / total.lines.total) / 100
for (const [what, least] of Object.entries(LEAST)) {
  const { pct } = total[what]
  console.log(`coverage of ${what}: ${pct} % (at least ${least} %)`)
  if (!(pct >= least)) process.exitCode = 1
}

/** The source map of each measured file that most processes have, without its empty text. */
function usualMaps (): Record<string, Map> {
  const seen: Record<string, Record<string, { map: Map, times: number }>> = {}
  for (const { 'source-map-cache': maps } of coverages) {
    for (const [url, map] of Object.entries(maps ?? {}).filter(([url]) => isMeasured(url))) {
      delete map.data.sourcesContent
      const entry = (seen[url] ??= {})[String(map.data.mappings)] ??= { map, times: 0 }
      entry.times++
    }
  }
  return Object.fromEntries(Object.entries(seen).map(([url, forms]) => [url, Object.values(forms).sort((a, b) => b.times - a.times)[0].map]))
}
