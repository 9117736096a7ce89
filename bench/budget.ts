/** What a detector may say in benchmarks of detection, fixed in advance: an alarm a day. */
export const BUDGET = { alarms: 1, per: '1d' } as const
