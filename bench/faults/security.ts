/** What is done to the plane and the broker on purpose. */
import type { Row } from './row.ts'
import { tenantMatrix } from './tenants.ts'

export const security: readonly Row[] = [{
  id: 'S1', name: 'a key and a device of another tenant', fault: 'every route of the OpenAPI document with what is another\'s, and MQTT', expected: 'nothing of it is told or changed; it looks like what is not there',
  tiers: { commit: 1, nightly: 1, release: 1 },
  run: tenantMatrix
}]
