import t from 'tap'
import { SeriesTable } from '#engine'
import { filtersOf, Topics, templateFault, tenantsOf } from '../../connectors/codec/topic.ts'

const resolve = (templates: string[], topic: string, options = {}) => {
  const series = new SeriesTable(100)
  const place = new Topics(templates, series, options).resolve(topic)
  if ('reason' in place) return place.reason
  return [place.tenant, place.device === undefined ? undefined : series.deviceName(place.device).device, place.metric, place.device === undefined ? {} : { ...series.tags(place.device) }]
}

t.test('names of a template are read from the topic, others become tags of the device', async t => {
  t.strictSame(resolve(['{tenant}/{device}/{metric}'], 'acme/pump-1/flow'), ['acme', 'pump-1', 'flow', {}])
  t.strictSame(resolve(['site/{site}/{type}/{device}'], 'site/berlin/pump/p1'), ['default', 'p1', undefined, { site: 'berlin', type: 'pump' }])
  t.strictSame(resolve(['{metric}'], 'flow', { tenant: 'acme' }), ['acme', undefined, 'flow', {}])
  t.strictSame(resolve(['/plant/{device}'], '/plant/p1'), ['default', 'p1', undefined, {}])
  t.strictSame(resolve(['{tenant}.{device}.{metric}'], 'acme.p1.flow', { separator: '.' }), ['acme', 'p1', 'flow', {}])
})

t.test('the first template that fits reads the topic', async t => {
  const templates = ['site/{site}/{device}', '{tenant}/{device}/{metric}']
  t.strictSame(resolve(templates, 'site/a/b'), ['default', 'b', undefined, { site: 'a' }])
  t.strictSame(resolve(templates, 'acme/a/b'), ['acme', 'a', 'b', {}])
})

t.test('a topic that fits no template is a mismatch', async t => {
  for (const topic of ['a/b', 'a/b/c/d', '', '/']) t.equal(resolve(['{tenant}/{device}/{metric}'], topic), 'topic_mismatch')
  t.equal(resolve(['site/{device}'], 'sites/x'), 'topic_mismatch')
})

t.test('names that cannot be stored are refused by reason', async t => {
  for (const name of ['', 'x'.repeat(257), 'a\0b', 'a\nb', '\ud800', 'a\udc00b', 'a+b', 'a#b', '\ufeffa']) t.equal(resolve(['{tenant}/{device}/{metric}'], `acme/${name}/flow`), 'bad_name', JSON.stringify(name.slice(0, 9)))
  for (const name of ['__proto__', 'constructor', 'prototype']) t.equal(resolve(['{tenant}/{device}/{metric}'], `acme/${name}/flow`), 'forbidden_key')
  t.equal(resolve(['{tenant}/{device}/{site}'], 'acme/p1/__proto__'), 'forbidden_key')
  t.equal(resolve(['{tenant}/{device}/{metric}'], `acme/${'x'.repeat(256)}/flow`)[1]?.length, 256)
  t.equal(resolve(['{device}'], 'pumpe-ä-😀')[1], 'pumpe-ä-😀')
})

t.test('filters have a wildcard for each name and none that another covers', async t => {
  t.strictSame(filtersOf(['{tenant}/{device}/{metric}']), ['+/+/+'])
  t.strictSame(filtersOf(['site/{site}/{device}', '{tenant}/{device}/{metric}', '{a}/{b}/{c}', 'x/{device}']), ['+/+/+', 'x/+'])
  t.strictSame(filtersOf(['plant.{device}.{metric}'], '.'), ['plant.*.*'])
})

t.test('a template that cannot be is refused with a sentence', async t => {
  for (const [template, what] of [['', /empty/], ['a/+/b', /neither/], ['a/#', /neither/], ['pump-{device}', /neither/], ['{device}/{device}', /twice/], ['{__proto__}/x', /not allowed|neither/], ['$share/g/{device}', /share/], ['{a b}', /neither/]] as const) t.match(templateFault(template), what, template)
  t.throws(() => new Topics(['a/+'], new SeriesTable(1)), { code: 'config/invalid' })
})

t.test('a known topic gives the same place again; a full table is said at every message', async t => {
  const series = new SeriesTable(1)
  const topics = new Topics(['{device}'], series)
  t.equal(topics.resolve('a'), topics.resolve('a'))
  t.match(topics.resolve('b'), { device: -1 })
  t.strictSame(['a', 'b', 'a/b', ''].map(topic => topics.fits(topic)), [true, true, false, true])
})

t.test('no more than 100,000 topics are remembered', async t => {
  const topics = new Topics(['{device}/{site}'], new SeriesTable(10))
  const first = topics.resolve('d/0')
  for (let i = 1; i <= 100_000; i++) topics.resolve(`d/${i}`)
  t.not(topics.resolve('d/0'), first)
  t.equal(topics.resolve('d/100000'), topics.resolve('d/100000'))
  const used = topics.resolve('d/1')
  for (let i = 0; i <= 200_000; i++) {
    topics.resolve(`e/${i}`)
    if (i % 10_000 === 0) topics.resolve('d/1')
  }
  t.equal(topics.resolve('d/1'), used, 'what comes again and again stays')
})

t.test('whose readings come under a topic, the first time and every time after it', t => {
  const tenantOf = tenantsOf(['site/{site}/{device}', '{tenant}/{device}/{metric}', 'all/{metric}/{tenant}/{device}'], 'nobody')
  for (let k = 0; k < 2; k++) {
    t.strictSame(['site/a/b', 'acme/a/b', 'all/m/umbra/d', 'acme/a', `acme/a/${'b'.repeat(1000)}`, '/a/b', '__proto__/a/b', 'acme/a/b'].map(tenantOf), ['nobody', 'acme', 'umbra', 'nobody', 'acme', '', '__proto__', 'acme'])
  }
  for (let k = 0; k < 100_002; k++) tenantOf(`t${k}/d/m`)
  t.strictSame(['t0/d/m', 't100001/d/m', 'acme/a/b'].map(tenantOf), ['t0', 't100001', 'acme'], 'more than are kept')
  t.end()
})
