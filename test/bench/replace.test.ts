import t from 'tap'
import { replace, replacements } from '../../bench/replace.ts'
import { freshDatabase } from '../support/postgres.ts'

t.test('replaced a few times under load, once by what cannot start: nothing lost, nothing twice, no mean, window or alert different', async t => {
  const figures = await replacements({ database: (await freshDatabase(t))!, count: 5, failing: 3 })
  t.match(figures, { replacements: 5, went_back: 1, lost: 0, doubled: 0, means_different: 0, windows_not_full: 0, alerts_lost: 0, alerts_invented: 0 })
  t.ok(Number(figures.windows) > 0 && Number(figures.incidents_and_ends) > 0 && Number(figures.acknowledged) > 1000)
  t.equal(replace.fault!(figures), undefined)
  t.equal(replace.fault!({ ...figures, lost: 2, alerts_lost: 1 }), 'lost: 2, alerts_lost: 1')
})
