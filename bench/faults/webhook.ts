/** Alerts on their way to people. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { uniform } from '../kill/readings.ts'
import { Stage } from '../kill/stage.ts'
import { query, until } from '../services.ts'
import { over, preload } from './inside.ts'
import { figuresOf } from './kills.ts'
import { exact, unless, type Bench, type Report, type Row } from './row.ts'
import { isolated } from './tarpits.ts'

const LANES = 4                      // sends that the dispatcher has under way at once: so many may be without a mark at a kill

const EGRESS = { MILLRACE_EGRESS: '127.0.0.0/8' }       // receivers are of this machine

/**
 * The engine dies when a receiver has said 2xx and the outbox does not know yet. The lease of what it had in hand, a minute, is
 * ended by us, so that nobody has to wait for it.
 */
async function unmarked ({ rounds, progress, seed, stretch, say, signal, closing, server }: Bench): Promise<Report> {
  const heard = new Map<string, { times: number, readonly body: string }>()
  let repeats = 0, changed = 0
  const receiver = createServer((request, response) => {
    let body = ''
    request.on('data', piece => { body += piece }).on('end', () => {
      const id = String(request.headers['webhook-id']), before = heard.get(id)
      if (before === undefined) heard.set(id, { times: 1, body })
      else {
        before.times++
        repeats++
        if (before.body !== body) changed++
      }
      response.end()
    })
  }).listen(0, '127.0.0.1')
  await new Promise(resolve => receiver.once('listening', resolve))
  closing.push(() => { receiver.closeAllConnections(); receiver.close() })
  const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/alerts`
  const stage = await Stage.open({
    source: 'mqtt', seed, series: 64, rate: 400, server: await server(), start: { env: EGRESS },
    change: pipeline => ({ ...pipeline, alerts: { high: { ...pipeline.alerts.high, to: [{ webhook: { url } }] } } })
  }, say, signal, closing)
  let life = await stage.begin()
  for (let k = 0; k < rounds; k++) {
    progress(`round ${k + 1} of ${rounds}`)
    await life.destroy()
    await query(stage.database, "UPDATE alert_outbox SET due = timestamptz 'epoch' WHERE state = 'due'")
    life = stage.start({ node: preload('failpoint'), env: { ...EGRESS, MILLRACE_FAILPOINT: `alert.sent:${1 + Math.floor(8 * uniform(seed, k))}` } })
    await over(life, 'an alert is delivered', signal)
    if (life.child.signalCode !== 'SIGKILL') throw life.died()
  }
  await query(stage.database, "UPDATE alert_outbox SET due = timestamptz 'epoch' WHERE state = 'due'")
  await stage.again()
  const ledger = await stage.publisher.snapshot()
  say(`${ledger.attempted} messages, ${heard.size} alerts so far`)
  const outcome = await stage.finish(() => drained(stage.database, 60_000 * stretch))
  const expected = new Set((await query(stage.database, 'SELECT event FROM alert_outbox')).map(row => row.event as string))
  const missing = [...expected].filter(id => !heard.has(id)).length, strange = [...heard.keys()].filter(id => !expected.has(id)).length
  return {
    figures: { kills: rounds, expected: expected.size, distinct: heard.size, missing, strange, repeats, repeats_changed: changed, ...figuresOf(outcome) },
    wrong: [
      ...exact(outcome), ...unless(missing === 0, `${missing} alerts were never heard of`), ...unless(strange === 0, `${strange} ids that the database does not know`), ...unless(changed === 0, `${changed} repeats with another body`),
      ...unless(repeats > 0, 'nothing was repeated: the kills show nothing'), ...unless(repeats <= LANES * rounds, `${repeats} repeats after ${rounds} kills`)
    ]
  }
}

/** Until no alert is due: after hundreds of kills there are tens of thousands. In vain when none more was delivered for `within` ms. */
async function drained (database: string, within: number): Promise<void> {
  const due = async (): Promise<number> => (await query(database, "SELECT count(*)::int AS due FROM alert_outbox WHERE state = 'due'"))[0].due
  for (let left = await due(); left > 0;) {
    let now = left
    await until(`one of ${left} alerts is delivered`, async () => { now = await due(); return now < left }, within)
    left = now
  }
}

export const webhook: readonly Row[] = [{
  id: 'N7', name: 'receivers that hang, fail, redirect, flood and drip', fault: 'nine ill webhooks beside three good ones', expected: 'the good ones wait at most 1.2 times as long; in the end everything is everywhere, no redirect is followed',
  tiers: { commit: 1, nightly: 20, release: 60 }, alone: true,
  run: isolated
}, {
  id: 'N8', name: 'kill -9 between 2xx of a webhook and its mark', fault: 'a failpoint before the outbox is told', expected: 'every alert is heard of; what is repeated has the same id and the same body',
  tiers: { commit: 4, nightly: 40, release: 200 },
  run: unmarked
}]
