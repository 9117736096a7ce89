/** Names of devices that there are not begin with this: what comes of their readings is marked, whoever has sent them. */
export const SIMULATED = 'simulated-'

export const isSimulated = (device: string): boolean => device.startsWith(SIMULATED)

export const plantedKinds = ['spike', 'stuck', 'dropout', 'drift', 'shift', 'noise', 'clip', 'unit'] as const
export type PlantedKind = typeof plantedKinds[number]
/** What is usual, and what goes wrong. Times in ms; `end`: of the newest reading. `values`: what is usual, instead of normal noise around a level. */
export interface PlantAsked { readonly kind: PlantedKind, readonly healthy: number, readonly faulty: number, readonly after: number, readonly every: number, readonly end: number, readonly level: number, readonly noise: number, readonly size?: number | undefined, readonly seed: number, readonly values?: readonly number[] | undefined }
/** Readings in the order of time, and their label: `to` is the first time at which it is over. */
export interface Planted { readonly readings: readonly { readonly time: number, readonly value: number }[], readonly label: { readonly kind: PlantedKind, readonly from: number, readonly to: number, readonly size: number } }
