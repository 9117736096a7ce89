/** What is done to the plane, the broker and receivers on purpose. */
import { privateAddresses, signatures } from './egress.ts'
import type { Row } from './row.ts'
import { tenantMatrix } from './tenants.ts'

export const security: readonly Row[] = [{
  id: 'S1', name: 'a key and a device of another tenant', fault: 'every route of the OpenAPI document with what is another\'s, and MQTT', expected: 'nothing of it is told or changed; it looks like what is not there',
  tiers: { commit: 1, nightly: 1, release: 1 },
  run: tenantMatrix
}, {
  id: 'S4', name: 'a webhook into one\'s own network', fault: 'addresses in every spelling, names that change, redirects', expected: 'no connection',
  tiers: { commit: 1, nightly: 1, release: 1 },
  run: privateAddresses
}, {
  id: 'S5', name: 'signatures that are forged, replayed, skewed; secrets that change', fault: 'each notice also with another secret, body, id, time', expected: 'receivers with the reference library take what is genuine, all of it, and nothing else',
  tiers: { commit: 20, nightly: 500, release: 500 },
  run: signatures
}]
