/** What the compiler must refuse. Not run: `tsc --noEmit` fails when one of these is no error. */
import { pipeline } from '#engine'
import { dedupe, doubled, outside, plant, print, within } from './engine/catalog.ts'
import { ewma } from '../operators/ewma.ts'

const readings = pipeline('types').from(plant({ qos: 1 }), { lateness: '5s' })

readings.pipe(ewma(), outside({ by: 3 })).pipe(dedupe()).to(print())
readings.pipe(ewma()).pipe(outside()).branch('far', p => p.pipe(outside({ by: 2 })).to(print()))
readings.pipe(within({ min: 1 }), doubled({ of: 'value' })).alert('high', { when: { doubled: { above: 4 } } })
readings.pipe(ewma()).alert('high', { when: { any: [{ ewma: { above: 4 } }, { value: { below: 0 } }] }, for: '30s', severity: 'critical' })

// @ts-expect-error outside needs the column "ewma", which nothing has added yet
readings.pipe(outside({ by: 3 }))
// @ts-expect-error the column is added after it is needed
readings.pipe(outside(), ewma())
// @ts-expect-error a branch has the columns of the trunk, and no others
readings.branch('far', p => p.pipe(outside()))
// @ts-expect-error what a branch adds, the trunk does not have
readings.branch('average', p => p.pipe(ewma())).pipe(outside())
// @ts-expect-error no step adds "emwa"
readings.pipe(ewma()).alert('high', { when: { emwa: { above: 4 } } })
// @ts-expect-error nor inside any
readings.pipe(ewma()).alert('high', { when: { any: [{ emwa: { above: 4 } }] } })
// @ts-expect-error there is no test "over"
readings.alert('high', { when: { value: { over: 4 } } })
// @ts-expect-error there is no severity "fatal"
readings.alert('high', { when: { value: { above: 4 } }, severity: 'fatal' })
// @ts-expect-error there is no option "aplha"
ewma({ aplha: 0.2 })
// @ts-expect-error a time span is written with its unit
dedupe({ within: 10 })
// @ts-expect-error a whole number, not text
plant({ qos: '1' })
