import t from 'tap'
import { parse } from 'csv-parse/sync'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { normalise } from '../../engine/lint.ts'
import { play } from '../../engine/trial.ts'
import { compare, type Entry } from '../../engine/trial/compare.ts'
import { parseGiven } from '../../engine/trial/given.ts'
import { readYaml } from '../../engine/yaml.ts'
import * as sources from '../../connectors/index.ts'
import * as operators from '../../operators/index.ts'
import * as sinks from '../../sinks/index.ts'

/**
 * A folder per case. input.csv: time, series, value, arrival (as in `given` of a pipeline's tests). expected.csv: route
 * (trunk, a branch, an alert, or late), then what is compared; an empty cell is not. All rows of a route that is named
 * are there, in order. A bug is a folder.
 */
const folder = import.meta.dirname
const components = { sources, operators, sinks }
const csv = (file: string): Record<string, string>[] => parse(readFileSync(file), { columns: true, skip_empty_lines: true })

for (const name of readdirSync(folder, { withFileTypes: true }).filter(f => f.isDirectory()).map(f => f.name)) {
  void t.test(name, async t => {
    const file = join(folder, name, 'pipeline.yaml')
    const { pipeline, findings } = readYaml(readFileSync(file, 'utf8'), components, { file })
    t.strictSame(findings, [])
    const { lines, problems } = parseGiven(csv(join(folder, name, 'input.csv')).map(({ time, series, value, arrival }) => `${time} ${series} ${value} ${arrival === '' ? '' : `@${arrival}`}`).join('\n'))
    t.strictSame(problems, [])
    const happened = play(normalise(pipeline!, components), lines)
    const expected = new Map<string, Entry[]>()
    for (const { route, ...cells } of csv(join(folder, name, 'expected.csv'))) {
      expected.set(route, [...expected.get(route) ?? [], Object.fromEntries(Object.entries(cells).filter(([, cell]) => cell !== '').map(([key, cell]) => [key, key === 'provisional' ? cell === '1' : ['time', 'series', 'state'].includes(key) ? cell : Number(cell)]))])
    }
    for (const [route, rows] of expected) {
      const actual = route === 'late' ? happened.late : happened.alerts.get(route) ?? happened.rows.get(route === 'trunk' ? '' : route) ?? []
      t.strictSame(compare(route, rows, actual, 1e-9).flatMap(d => d.lines), [], route)
    }
  })
}
