import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import t from 'tap'

const root = join(import.meta.dirname, '..')

/** Who may import whom: folder -> the folders it may reach. Components reach the engine by its one door, "#engine". */
const MAY: Record<string, readonly string[]> = {
  models: [],
  operators: ['engine', 'models'],
  connectors: ['engine', 'models'],      // models: the mathematics of simulated devices
  sinks: ['engine'],
  engine: []
}
const DOOR = ['models', 'operators', 'connectors', 'sinks']
const COMPONENTS = ['connectors', 'operators', 'sinks']

/** A library is imported by the fewest files possible: these, and no others. */
const LIBRARIES: Record<string, readonly string[]> = {
  rxjs: ['engine/stream.ts'],
  'prom-client': ['engine/metrics.ts'],
  jose: ['engine/token.ts'],
  '@redis/client': ['connectors/redis-keys.ts']
}

/** No clock and no chance. */
const PURE = ['operators', 'models', ...['batch', 'series', 'memory', 'lists', 'queues', 'saved', 'operator', 'window', 'watermark', 'condition', 'alert'].map(f => `engine/${f}.ts`), 'engine/windows']

const sources = Object.keys(MAY).flatMap(folder => (readdirSync(join(root, folder), { recursive: true }) as string[]).filter(f => f.endsWith('.ts')).map(f => join(folder, f)))
const text = (path: string) => readFileSync(join(root, path), 'utf8')
const code = (path: string) => text(path).replaceAll(/\/\*[\s\S]*?\*\/|(?<!:)\/\/.*$/gm, '')
const imports = (path: string): string[] => Array.from(text(path).matchAll(/(?:\bfrom|\bimport)\s*\(?\s*'([^']+)'/g), m => m[1])
const local = (path: string, target: string) => target === '#engine' ? 'engine/index.ts' : normalize(join(dirname(path), target))
const isLocal = (target: string) => target === '#engine' || target.startsWith('.')

t.test('imports point one way', async t => {
  t.ok(sources.length > 30)
  for (const path of sources) {
    const folder = path.split('/')[0]
    for (const target of imports(path).filter(isLocal)) {
      const reached = local(path, target).split('/')[0]
      if (reached === folder || (path === 'engine/main.ts' && COMPONENTS.includes(reached)) || reached === 'package.json') continue
      t.ok(MAY[folder].includes(reached), `${path} imports ${target}`)
    }
  }
})

t.test('components reach the engine by its one door, and nobody inside uses that door', async t => {
  for (const path of sources) {
    const inside = path.startsWith('engine/')
    for (const target of imports(path).filter(isLocal)) {
      if (!inside && local(path, target).startsWith('engine/')) t.equal(target, '#engine', `${path} reaches past the door: ${target}`)
      if (inside) t.ok(target !== '#engine', `${path} goes out by the door and comes back`)
    }
  }
})

t.test('siblings never import siblings', async t => {
  for (const path of sources.filter(p => DOOR.includes(p.split('/')[0]) && p.split('/').length === 2 && !p.endsWith('/index.ts'))) {
    for (const target of imports(path).filter(t => t.startsWith('.'))) {
      const [folder, ...rest] = local(path, target).split('/')
      if (folder === path.split('/')[0] && rest.length === 1) t.ok(shares(path, rest[0]), `${path} imports its sibling ${target}`)
    }
  }
})
const components = new Set(COMPONENTS.flatMap(folder => sources.includes(`${folder}/index.ts`) ? imports(`${folder}/index.ts`).map(target => local(`${folder}/index.ts`, target)) : []))
/** Two files of one component: only one of them is a component of its own. */
const shares = (path: string, sibling: string) => path.split('/')[0] !== 'operators' && !components.has(`${path.split('/')[0]}/${sibling}`)

t.test('every component stands in the list of its folder', async t => {
  for (const path of sources.filter(p => COMPONENTS.includes(p.split('/')[0]) && p.split('/').length === 2)) {
    if (/^export const \w+ = (Object\.assign\(|define(Operator|Source|Sink)\()/m.test(text(path))) t.ok(components.has(path), `${path} is not listed`)
  }
})

t.test('a library is imported only where the house says', async t => {
  for (const path of sources) {
    for (const target of imports(path)) {
      const library = Object.keys(LIBRARIES).find(name => target === name || target.startsWith(`${name}/`))
      if (library !== undefined) t.ok(LIBRARIES[library].includes(path), `${path} imports ${library}`)
    }
  }
  for (const path of sources.filter(p => /^(models|operators)\//.test(p))) t.ok(imports(path).every(isLocal), `${path} imports a library`)
})

t.test('operators, models and the kernel under them have no clock, no chance and wait for nothing', async t => {
  for (const path of sources.filter(p => PURE.some(pure => p === pure || p.startsWith(`${pure}/`)))) {
    const found = /Date\.now|new Date\(\)|performance\.|process\.hrtime|Math\.random|setTimeout|setInterval|\basync\b|\bawait\b|Promise/.exec(code(path))
    t.equal(found?.[0], undefined, `${path} uses ${found?.[0]}`)
  }
})

/** What a simulation drives: time and chance come by engine/clock.ts, files by engine/files.ts. */
const SIMULATED = ['wal', 'wal-segment', 'wal-recover', 'wal-reader', 'journal', 'journal-keys', 'journal-room', 'journal-places', 'log-source', 'redelivery', 'message', 'requeue', 'lock', 'run', 'restore', 'checkpoint', 'recovery', 'snapshot', 'credits', 'intake', 'poison', 'dispatch', 'stream'].map(f => `engine/${f}.ts`)

t.test('the log, the run loop, recovery and the dispatcher meet time and chance only by the clock they are given', async t => {
  for (const path of SIMULATED) {
    const found = /Date\.now|new Date\(\)|performance\.|hrtime|Math\.random|random(?:UUID|Bytes|Int)|(?:^|[^.\w])(?:set|clear)(?:Timeout|Interval|Immediate)|queueMicrotask|nextTick|from 'node:timers|(?<![.\w])(?:timer|interval|delay|debounceTime)\(|AbortSignal\.timeout/.exec(code(path))
    t.equal(found?.[0], undefined, `${path} uses ${found?.[0]}`)
  }
})

t.test('no base classes but those of Node and of errors', async t => {
  for (const path of sources) for (const [, base] of code(path).matchAll(/class \w+(?:<[^{]*>)? extends (\w+)/g)) t.ok(['Error', 'Transient', 'MillraceError', 'Transform', 'Writable', 'Readable', 'Duplex', 'EventEmitter'].includes(base), `${path} extends ${base}`)
})
