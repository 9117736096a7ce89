/** What a sensor's value becomes when its unit is changed: factor * value + offset. Factors of prefixes, of time, and of the units that instruments are switched between. */
export interface Conversion { readonly name: string, readonly factor: number, readonly offset: number }

const KELVIN = 273.15
const named: readonly (readonly [name: string, factor: number, offset?: number])[] = [
  ['x10', 10], ['x100', 100], ['x1000', 1000], ['x1000000', 1e6],
  ['1/s to 1/min', 60], ['1/s to 1/h', 3600], ['m/s to km/h', 3.6], ['m/s to mph', 2.2369362920544],
  ['in to mm', 25.4], ['ft to m', 0.3048], ['mi to km', 1.609344],
  ['bar to psi', 14.503773773], ['psi to kPa', 6.894757293], ['bar to kPa', 100], ['atm to bar', 1.01325],
  ['kg to lb', 2.2046226218], ['gal to l', 3.785411784], ['hp to kW', 0.745699872], ['rad to degree', 180 / Math.PI],
  ['C to F', 1.8, 32], ['C to K', 1, KELVIN], ['F to K', 1 / 1.8, KELVIN - 32 / 1.8]
]

/** Both directions of each, every pair of factor and offset once. */
export const conversions: readonly Conversion[] = named.flatMap(([name, factor, offset = 0]) => [
  { name, factor, offset }, { name: `back from ${name}`, factor: 1 / factor, offset: -offset / factor }
]).filter((c, i, all) => all.findIndex(d => d.factor === c.factor && d.offset === c.offset) === i)
