import t from 'tap'
import { defineSource, gather, Intake, Type, type Mark } from '#engine'
import type { Relearn } from '../../engine/relearn.ts'
import { Run } from '../../engine/run.ts'
import { fileStore } from '../../sinks/file.ts'
import { DEVICES, markOf, START } from '../support/flow.ts'
import { Crashed, type Event, events, expected, Hand, hows, type Life, log, messageOf, Mortal, none, type Result, snapshots, soon, stored, temporary, until, work } from '../support/lives.ts'

/** A source that can be read again and has no marks: the ticks are the engine's. `fails`: it dies before that message. `together`: messages in a delivery, where no tick stands between. */
function scripted (events: readonly Event[], hand: Hand, mortal: () => Mortal, { fails = Infinity, together = 1 }: Life) {
  const script = { over: false, spec: none, relearn: (_of: Relearn) => {} }
  script.spec = defineSource({
    name: 'scripted', summary: 'What a test has written down.', options: Type.Object({}),
    open: (_, host) => {
      let time = START
      return {
        now: () => time, origin: () => 'script', trouble: () => undefined, commit: async () => {},
        open (from, credits, signal) {
          const intake = new Intake(host.series, credits, { ahead: host.ahead, after: from ?? 0 })
          let stopped = false
          return gather(intake, credits, signal, () => time, g => {
            const idle = async () => {
              await soon()
              while (!stopped && (intake.waiting > 0 || credits.delivered > 0 || mortal().busy)) await new Promise(resolve => { setTimeout(resolve, 1) })
            }
            void (async () => {
              let position = 0
              for (const [i, event] of events.entries()) {
                if (stopped) return
                if (event.do === 'readings') {
                  if (++position <= (from ?? 0)) continue
                  if (position === fails) return g.fail(new Crashed())
                  time = event.ingest
                  intake.message('test', new Uint8Array(10), time)
                  for (const [device, metric, at, value] of event.of) intake.reading(host.series.id('default', DEVICES[device], `m${metric}`), at, value)
                  g.pushed()
                  if (position % together !== 0 && events[i + 1]?.do === 'readings' && position + 1 !== fails) continue
                } else if (position >= (from ?? 0)) {
                  time = event.time
                  const mark = markOf(event)
                  if (mark.kind === 'relearn') script.relearn(mark.of)
                  hand.tick()
                }
                await idle()
                await idle()
              }
              script.over = true
            })()
            return () => { stopped = true }
          }, { linger: 0, rows: 1000 })
        }
      }
    }
  })()
  return script
}


/** Lives one after the other; the last one comes to the end. Returns what is stored, and what of the ticks became marks. */
async function live (t: { teardown (f: () => unknown): void }, events: readonly Event[], lives: readonly Life[]): Promise<{ readonly result: Result, readonly happened: Event[], readonly died: boolean }> {
  const folder = temporary(t)
  const committed: Mortal['committed'][number][] = []
  let died = false
  for (const life of [...lives, { together: 3 } as Life]) {
    const { crash } = life
    const hand = new Hand(), mortal = new Mortal(folder, crash), stop = new AbortController()
    const script = scripted(events, hand, () => mortal, life)
    const run = new Run(work(script.spec, mortal.make), { log, folder, fallback: fileStore, clock: hand.clock, snapshots, maxSeries: 100 })
    script.relearn = of => { run.relearn(of) }
    let over = false
    const running = run.run(stop.signal).finally(() => { over = true })
    running.catch(() => {})
    await until(() => script.over || over)
    stop.abort()
    const end = await running.then(() => undefined, (error: unknown) => error)
    committed.push(...mortal.committed)
    if (end instanceof Crashed) {
      died = true
      await mortal.tear()
    } else if (end !== undefined) throw end
    else if (run.imbalance !== 0) throw new Error(`off by ${run.imbalance}`)
    else return { result: stored(folder, run), happened: withMarks(events, committed), died }
  }
  throw new Error('it dies whenever it lives')
}

const stepOf = (mark: Mark): Event => mark.kind === 'relearn' ? { do: 'relearn', time: mark.time, device: DEVICES.indexOf(mark.of.device), end: mark.of.end } : { do: mark.kind, time: mark.time }

/** The messages, each followed by the marks that were committed behind it. */
function withMarks (events: readonly Event[], committed: Mortal['committed']): Event[] {
  const messages = events.filter(messageOf)
  const at = (position: number): Event[] => committed.filter(c => c.position === position).flatMap(c => c.marks.map(stepOf))
  return [...at(0), ...messages.flatMap((message, i) => [message, ...at(i + 1)])]
}


t.test('without a crash what is stored is what one flow makes of it, with silent devices, alerts, late readings and repeats in it', async t => {
  const { result, happened } = await live(t, events, [])
  t.strictSame(result, expected(happened))
  t.ok(result.rows.w.some(line => line.includes('"provisional":true')))
  t.ok(result.alerts.length > 1 && result.late > 0 && result.counts[''].deduplicated > 0, JSON.stringify([result.alerts.length, result.late, result.counts['']]))
  t.ok(happened.filter(e => e.do === 'tick').length > 2 && happened.some(e => e.do === 'listen') === false)
})

t.test('a source that dies before any message: the rows, alerts and counts are those of one flow', async t => {
  const messages = events.filter(messageOf).length
  for (let fails = 1; fails <= messages; fails++) {
    const { result, happened, died } = await live(t, events, [{ fails }])
    t.ok(died)
    t.strictSame(result, expected(happened), `before message ${fails}`)
    const rest = events.slice(events.indexOf(events.filter(messageOf)[fails - 1]))
    if (fails > 1 && rest.some(e => e.do === 'tick')) t.ok(happened.some(e => e.do === 'listen'), 'and nobody was silent meanwhile')
  }
})

t.test('a process that dies in any commit, wherever in it: the rows, alerts and counts are those of one flow', async t => {
  for (const how of hows) {
    for (let commit = 1; ; commit++) {
      const { result, happened, died } = await live(t, events, [{ crash: { commit, how } }])
      if (!died) {
        t.ok(commit > 15, `${commit - 1} commits`)
        break
      }
      t.strictSame(result, expected(happened), `${how} commit ${commit}`)
    }
  }
})

t.test('a process that dies again and again comes to the end', async t => {
  for (const how of hows) {
    const { result, happened } = await live(t, events, Array.from({ length: 20 }, (_, i) => ({ crash: { commit: how === 'after' ? 1 + i % 3 : 2 + i % 4, how } })))
    t.strictSame(result, expected(happened), how)
  }
})
