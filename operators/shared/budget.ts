import { Duration, Type } from '#engine'

/** Options of operators that give alarms: how many false ones are acceptable. */
export const budget = {
  alarms: Type.Number({ description: 'Budget: so many false alarms are acceptable for each series ...', exclusiveMinimum: 0, default: 1 }),
  per: Duration({ description: '... in this time, at the rate at which the series comes.', default: '1w' })
}
