import fc from 'fast-check'

/** Something that goes wrong at a time (ms), or is done to the engine. `n` says how badly. */
export interface Fault { readonly at: number, readonly kind: FaultKind, readonly n: number }
export type FaultKind = typeof faultKinds[number]
export const faultKinds = ['kill', 'crash at a call', 'power', 'pause', 'freeze', 'stop', 'cut', 'session', 'store down', 'disk full', 'sync fails', 'clock', 'follower down', 'receiver down', 'damage'] as const

/** One life to be lived: chance beside it comes from `seed`. Chances are drawn too, so that seeds differ in what they try. */
export interface Scenario {
  readonly seed: number
  readonly messages: number
  readonly peers: number
  readonly devices: number
  readonly big: number               // share of messages that are large
  readonly window: number            // messages under way per peer
  readonly budget: number            // bytes of the log
  readonly dedupe: boolean           // else nothing hides that a reading is processed twice
  readonly whole: boolean            // snapshots of all pages
  readonly replay: number            // ms of work between snapshots
  readonly slice: number             // bytes of pages per commit
  readonly disk: { readonly slow: number, readonly sync: number, readonly tail: number }
  readonly store: { readonly slow: number, readonly before: number, readonly unknown: number, readonly aside: number }
  readonly follower: { readonly slow: number, readonly before: number, readonly after: number }
  readonly receiver: { readonly slow: number, readonly before: number, readonly after: number }
  readonly faults: readonly Fault[]
}

/** Often nothing, else something up to `most`. */
const chance = (most: number) => fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, { weight: 3, arbitrary: fc.integer({ min: 1, max: 100 }).map(n => n / 100 * most) })
const ms = (most: number) => fc.oneof(fc.constant(most / 100), fc.constant(most / 10), fc.constant(most))

export const MINUTES = 1             // in which messages are sent and things go wrong

export const scenarios: fc.Arbitrary<Scenario> = fc.record({
  seed: fc.noShrink(fc.integer({ min: 0, max: 2 ** 31 - 1 })),
  messages: fc.integer({ min: 20, max: 180 }),
  peers: fc.integer({ min: 1, max: 3 }),
  devices: fc.integer({ min: 1, max: 24 }),
  big: chance(0.1),
  window: fc.constantFrom(1, 4, 20),
  budget: fc.constantFrom(12_000, 40_000, 200_000),
  dedupe: fc.boolean(),
  whole: fc.boolean(),
  replay: fc.constantFrom(0.1, 0.5, 2000),
  slice: fc.constantFrom(1, 2000, 2 ** 20),
  disk: fc.record({ slow: ms(4), sync: ms(40), tail: chance(0.05) }),
  store: fc.record({ slow: ms(200), before: chance(0.1), unknown: chance(0.3), aside: chance(0.1) }),
  follower: fc.record({ slow: ms(100), before: chance(0.2), after: chance(0.2) }),
  receiver: fc.record({ slow: ms(2000), before: chance(0.3), after: chance(0.3) }),
  faults: fc.array(fc.record({ at: fc.integer({ min: 100, max: MINUTES * 60_000 }), kind: fc.constantFrom(...faultKinds), n: fc.integer({ min: 1, max: 100 }) }), { minLength: 1, maxLength: 7 })
})

/** The scenario of a seed. */
export const scenarioOf = (seed: number): Scenario => fc.sample(scenarios, { seed, numRuns: 1 })[0]
