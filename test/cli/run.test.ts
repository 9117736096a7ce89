import t from 'tap'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { receiver } from '../fixtures/receiver.ts'
import { start, temporary, type Started } from '../support/program.ts'

const url = async (run: Started) => {
  await run.until(/status page http/)
  return /status page (http:\/\/[^"\s]+?)\/["\s]/.exec(run.err)![1]
}
/** A port on which nothing listens. */
const nobody = () => new Promise<number>(resolve => {
  const server = createServer().listen(0, '127.0.0.1', () => { const { port } = server.address() as AddressInfo; server.close(() => resolve(port)) })
})

t.test('a database that is not there: said, tried again, named by /readyz; the process lives and stops when told', async t => {
  const folder = temporary(t)
  writeFileSync(join(folder, 'p.yaml'), 'name: p\nfrom: { simulator: {} }\nto: [ postgres: { table: readings } ]\n')
  const run = start(t, ['run', join(folder, 'p.yaml'), '--database', `postgres://nobody@127.0.0.1:${await nobody()}/none`, '--http', '127.0.0.1:0', '--folder', folder])
  const at = await url(run)
  await run.until(/cannot be reached/)
  const ready = await fetch(`${at}/readyz`)
  t.equal(ready.status, 503)
  t.match((await ready.json() as any).trouble.p.store, /127\.0\.0\.1/)
  t.equal((await fetch(`${at}/livez`)).status, 200)
  run.child.kill('SIGTERM')
  t.equal(await run.ended, 143)
})

t.test('a broker that is not there: the same', async t => {
  const folder = temporary(t)
  writeFileSync(join(folder, 'p.yaml'), `name: p\nfrom: { mqtt: { url: "mqtt://127.0.0.1:${await nobody()}", topic: "{device}/{metric}" } }\nto: [ file: { table: readings } ]\n`)
  const run = start(t, ['run', join(folder, 'p.yaml'), '--http', '127.0.0.1:0', '--folder', folder])
  const at = await url(run)
  let trouble: any
  await run.until(async () => { trouble = (await (await fetch(`${at}/readyz`)).json() as any).trouble.p; return /mqtt:\/\/127/.test(trouble?.source ?? '') })
  t.notOk('store' in trouble)
  run.child.kill('SIGINT')
  t.equal(await run.ended, 130)
})

t.test('a pipeline without a database keeps its commits in files; status, metrics and page agree; a second start goes on', async t => {
  const folder = temporary(t)
  writeFileSync(join(folder, 'p.yaml'), 'name: p\nfrom: { simulator: { rate: 500 } }\nto: [ file: { table: readings } ]\n')
  const once = async () => {
    const run = start(t, ['run', join(folder, 'p.yaml'), '--http', '127.0.0.1:0', '--folder', folder, '--json'])
    const at = await url(run)
    await run.until(async () => (await (await fetch(`${at}/status`)).json() as any).pipelines[0].readings.written > 500)
    await run.until(async () => (await fetch(`${at}/readyz`)).status === 200)          // a second start has written so many before it begins
    let step: any
    await run.until(async () => ({ pipelines: [{ steps: [step] }] } = await (await fetch(`${at}/status`)).json() as any).pipelines[0].steps[0].newest !== undefined)
    t.match(step, { branch: '', id: 'dedupe', watermark: /^20\d\d-.*Z$/, newest: /^20\d\d-.*Z$/, lag_ms: Number })
    t.ok(step.watermark < step.newest, 'by the lateness that is allowed')
    const metrics = await (await fetch(`${at}/metrics`)).text()
    t.match(metrics, /millrace_readings_total\{pipeline="p",branch="",fate="written"\} \d{3,}/)
    t.match(metrics, /millrace_accounting_imbalance_readings\{pipeline="p"\} 0/)
    const page = await fetch(`${at}/`)
    t.match(page.headers.get('content-type'), /text\/html/)
    t.match(await page.text(), /<h2>p<\/h2>/)
    run.child.kill('SIGTERM')
    t.equal(await run.ended, 143, run.err)
    return JSON.parse(run.out.trim())
  }
  const first = await once(), second = await once()
  t.ok(second.readings.written > first.readings.written)
  t.ok(second.position > first.position)
  t.equal(second.imbalance, 0)
  const lines = readFileSync(join(folder, 'store', 'p', 'readings.ndjson'), 'utf8').trim().split('\n')
  t.equal(lines.length, second.readings.written)
})

t.test('the HTTP plane is for this machine only; a wrong pipeline exits with 78 and tells every error', async t => {
  const folder = temporary(t)
  writeFileSync(join(folder, 'p.yaml'), 'name: p\nfrom: { simulator: {} }\nto: [ stdout ]\n')
  const open = start(t, ['run', join(folder, 'p.yaml'), '--http', '0.0.0.0:0', '--folder', folder])
  t.equal(await open.ended, 78)
  t.match(open.err, /config\/exposed/)
  writeFileSync(join(folder, 'q.yaml'), 'name: q\nfrom: { simulatr: {} }\npipe: [ ewma: { aplha: 1 } ]\nto: [ stdout ]\n')
  const wrong = start(t, ['run', join(folder, 'q.yaml'), '--folder', folder])
  t.equal(await wrong.ended, 78)
  t.match(wrong.err, /q\.yaml:2:9[\s\S]*did you mean "simulator"[\s\S]*q\.yaml:3:17[\s\S]*did you mean "alpha"/)
})

t.test('--max-series is a number of series: anything else exits with 2 and says so', async t => {
  const folder = temporary(t)
  writeFileSync(join(folder, 'p.yaml'), 'name: p\nfrom: { simulator: {} }\nto: [ stdout ]\n')
  for (const wrong of ['abc', '0', '1e12']) {
    const run = start(t, ['run', join(folder, 'p.yaml'), '--folder', folder, '--http', 'off', '--max-series', wrong])
    t.equal(await run.ended, 2, run.err)
    t.match(run.err, /usage\/command.*--max-series/)
  }
})

t.test('at its end it has told what it committed; what nobody takes waits for the next start, and that is said', async t => {
  const folder = temporary(t), taken: string[] = [], lines = ['ts,device,metric,value']
  let works = true
  const { url: hook } = await receiver(t, (response, { headers }) => {
    if (works) taken.push(headers['webhook-id'] as string)
    response.writeHead(works ? 204 : 503).end()
  })
  const run = async (...devices: string[]) => {
    lines.push(...devices.map(device => `${Date.now() / 1000},${device},temp,99`))
    writeFileSync(join(folder, 'x.csv'), `${lines.join('\n')}\n`)
    writeFileSync(join(folder, 'p.yaml'), `name: p\nfrom: { replay: { files: ${join(folder, 'x.csv')} } }\nalerts: { hot: { when: { value: { above: 50 } }, to: [ webhook: { url: "${hook}" } ] } }\nto: [ file: { table: readings } ]\n`)
    const run = start(t, ['run', join(folder, 'p.yaml'), '--http', 'off', '--folder', folder, '--egress', '127.0.0.0/8'])
    t.equal(await run.ended, 0, run.err)
    return run.err
  }
  await run('a', 'b')
  t.equal(taken.length, 2)
  works = false
  t.match(await run('c'), /"alerts":1,"msg":"alerts that are not sent yet wait/)
  works = true
  await run('d')
  t.equal(new Set(taken).size, 4)
  t.equal(taken.length, 4)
})
