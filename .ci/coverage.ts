/**
 * Prints what the last run of the tests covered, and fails below 80 % of lines or branches.
 *
 * tap's own report takes every file for one line: tsx leaves the text out of its source maps (sourcesContent: [null]),
 * and the reporter believes it instead of reading the file. So the empty entries are taken out first. Files that no test
 * has loaded are no part of tap's figures; they are counted as wholly uncovered here, types alone excepted.
 */
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const MEASURED = ['engine', 'connectors', 'operators', 'models', 'sinks']
const LEAST = { lines: 80, branches: 80 } as const
const folder = '.tap/coverage'
const RUNS = /^(export )?(default )?(async )?(const|let|function|class)\b|^export [{*]/m     // a file without such a line declares types only

const isMeasured = (url: string): boolean => MEASURED.some(f => url.startsWith(new URL(`../${f}/`, import.meta.url).href))
const loaded = new Set<string>()
for (const name of readdirSync(folder)) {
  const file = `${folder}/${name}`
  const coverage = JSON.parse(readFileSync(file, 'utf8'))
  coverage.result = coverage.result.filter(({ url }: { url: string }) => isMeasured(url))
  for (const { url } of coverage.result) loaded.add(fileURLToPath(url))
  for (const { data } of Object.values<any>(coverage['source-map-cache'] ?? {})) delete data?.sourcesContent
  writeFileSync(file, JSON.stringify(coverage))
}
const { status, stderr } = spawnSync('npx', ['tap', 'report', 'text', 'json-summary'], { stdio: ['ignore', 'inherit', 'pipe'], encoding: 'utf8' })
if (status !== 0) throw new Error(`tap report ended with ${status}: ${stderr}`)

const { total } = JSON.parse(readFileSync('.tap/report/coverage-summary.json', 'utf8'))
for (const part of MEASURED) {
  for (const name of readdirSync(part, { recursive: true, encoding: 'utf8' }).filter(n => n.endsWith('.ts') && !n.endsWith('.d.ts'))) {
    const file = fileURLToPath(new URL(`../${part}/${name}`, import.meta.url))
    const text = readFileSync(file, 'utf8')
    if (loaded.has(file) || !RUNS.test(text)) continue
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
