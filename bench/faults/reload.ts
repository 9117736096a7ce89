/** B12: a pipeline that is replaced under load, with definitions between that are wrong, and patterns that other engines choke on. */
import { freshDatabase } from '../services.ts'
import { replace, replacements } from '../replace.ts'
import { unless, type Bench, type Report } from './row.ts'

const SLOW = 0.01                    // share of batches of which a row may take 5 ms: what else the machine does counts too
const pipe = (steps: string, from = 'broker: { port: 0 }'): string => `name: plant\nfrom: { ${from} }\npipe: [ ${steps} ]\nto: [ postgres: { table: readings } ]\n`

/** Each must be refused, for another reason. */
const wrong: readonly string[] = [
  'name: plant\nfrom: [', 'name: plant\nname: plant\n', 'name: plant\n', pipe('nothing'), pipe('ewma: { alpha: 7 }'), pipe('ewma: { alfa: 1 }'), pipe('ewma, ewma'), pipe('zscore: { over: forever }'),
  pipe('where: {}'), pipe('threshold: { }'), `${pipe('ewma')}alerts: { a: { when: { none: { above: 1 } }, to: [ stdout ] } }\n`, pipe('ewma', 'replay: { files: /etc/passwd }'), pipe('ewma', 'mqtt: { url: "mqtt://10.0.0.1", topic: "{device}" }'),
  pipe('ewma', 'broker: { port: 0, topics: "(a+)+$/{device}/{device}" }'), pipe('ewma').replace('plant', '"${HOME}"'), `a: &a [x]\nb: &b [${Array(50).fill('*a').join()}]\nc: [${Array(50).fill('*b').join()}]\n`, `name: plant\nx: ${'['.repeat(5000)}\n`, 'x'.repeat(2 ** 20 + 1)
]
/** Exponential for an engine that goes back; here * is any text and all else is itself, in time linear in the name. */
const patterns = ['(a+)+$', '(a|aa)+$', '^(([a-z])+.)+[A-Z]([a-z])+$', '*a'.repeat(60) + '*b', '(.*a){30}', '(?:a?){40}a{40}']
const names = ['a'.repeat(200) + '!', 'aA'.repeat(100), `${'a'.repeat(199)}c`]

export async function reloads ({ rounds, server, say }: Bench): Promise<Report> {
  const database = await freshDatabase((await server()).url)
  try {
    const figures = await replacements({ database: database.url, count: rounds, failing: 10, wrong, patterns, names, say })
    const fault = replace.fault!(figures), batches = Number(figures.commits_per_replacement) * rounds, refused = Number(figures.refused), slow = Number(figures.slow_batches)
    return {
      figures: figures as Report['figures'],
      wrong: [...fault === undefined ? [] : [fault], ...unless(refused === rounds, `${refused} of ${rounds} wrong definitions were refused`), ...unless(slow <= SLOW * batches, `${slow} of ${batches} batches had a row that took more than 5 ms in a step`)]
    }
  } finally { await database.stop() }
}
