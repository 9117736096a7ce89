import t from 'tap'
import { current, unsaid, written } from './forms.ts'

const now = current(), before = written()

t.test('who remembers in another form has another version, or its snapshots would be read wrongly', async t => { t.strictSame(unsaid(now, before), []) })

t.test('the forms that are written down are those of today: node --import tsx test/laws/forms.ts', async t => { t.strictSame(now, before) })
