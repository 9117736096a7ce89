/** What is done to the plane, the broker and receivers on purpose. */
import { privateAddresses, signatures } from './egress.ts'
import { injected } from './injection.ts'
import { keyTimes } from './keys.ts'
import { inventedNames } from './names.ts'
import { noisyDevices } from './quota-mqtt.ts'
import { noisyTenant } from './quota.ts'
import { reloads } from './reload.ts'
import type { Row } from './row.ts'
import { slowAndOdd } from './slow.ts'
import { audit, materials } from './supply.ts'
import { tenantMatrix } from './tenants.ts'
import { forgetfulStatements } from './wall.ts'

export const security: readonly Row[] = [{
  id: 'S1', name: 'a key and a device of another tenant', fault: 'every route of the OpenAPI document with what is another\'s, and MQTT', expected: 'nothing of it is told or changed; it looks like what is not there',
  tiers: { commit: 1, nightly: 1, release: 1 }, alone: true,      // asks so much that a busy machine answers 429
  run: tenantMatrix
}, {
  id: 'S2', name: 'statements that forget the tenant', fault: 'every table asked without a condition', expected: 'no row of another tenant; no table that may be read without row-level security',
  tiers: { commit: 1, nightly: 1, release: 1 },
  run: forgetfulStatements
}, {
  id: 'S3', name: 'keys that are cut off, mistyped, unknown, revoked, expired', fault: 'each of them, and a thousand samples a round of how long a refusal takes', expected: 'refused; a second after it was revoked at the latest; the time does not tell whether an id is known',
  tiers: { nightly: 100, release: 100 }, alone: true,
  run: keyTimes
}, {
  id: 'S4', name: 'a webhook into one\'s own network', fault: 'addresses in every spelling, names that change, redirects', expected: 'no connection',
  tiers: { commit: 1, nightly: 1, release: 1 },
  run: privateAddresses
}, {
  id: 'S5', name: 'signatures that are forged, replayed, skewed; secrets that change', fault: 'each notice also with another secret, body, id, time', expected: 'receivers with the reference library take what is genuine, all of it, and nothing else',
  tiers: { commit: 20, nightly: 500, release: 500 },
  run: signatures
}, {
  id: 'S6', name: 'slow requests, headers without end, odd types of content', fault: 'raw sockets', expected: 'refused or closed; nothing gets past its schema; good clients wait at most 1.2 times as long',
  tiers: { commit: 1, nightly: 5, release: 5 }, alone: true,
  run: slowAndOdd
}, {
  id: 'S7', name: 'what is shipped beside our own code', fault: 'none', expected: 'all of it in the bill of materials, pinned, of known licences; nothing unknown runs at an installation',
  tiers: { commit: 1, nightly: 1, release: 1 },
  run: materials
}, {
  id: 'S7a', name: 'what is known to be wrong with it', fault: 'none', expected: 'nothing high or critical',
  tiers: { release: 1 },
  run: audit
}, {
  id: 'P4', name: 'a device that invents names', fault: 'a thousand new names a round, beyond the series that there may be', expected: 'no memory for them; each a dead letter that says so; who is known goes on',
  tiers: { nightly: 1000, release: 1000 },
  run: inventedNames
}, {
  id: 'B11', name: 'names that are SQL, COPY, CSV, subjects, control lines', fault: 'a hundred names a round, by topic and by request, into PostgreSQL, NATS and an export', expected: 'each is there to the letter, once for each way it came; no subject, row or table that is not ours',
  tiers: { commit: 20, nightly: 1000, release: 10_000 },
  run: injected
}, {
  id: 'B12', name: 'a pipeline replaced under load, by wrong definitions too', fault: 'each replacement followed by a definition that cannot be meant, every tenth by one that cannot start; patterns on which a regular expression goes back without end, and names for them', expected: 'the old one stays, no reading and no alert is lost, no row takes 5 ms in a step',
  tiers: { commit: 20, nightly: 1000, release: 1000 },
  run: reloads
}, {
  id: 'P5', name: 'a tenant that sends twenty times its quota', fault: 'over HTTP, beside another', expected: 'it alone is refused, and told when to come back; the other waits at most 1.2 times as long',
  tiers: { nightly: 6, release: 6 }, alone: true,
  run: noisyTenant
}, {
  id: 'P5a', name: 'devices of a tenant that publish twenty times its quota', fault: 'over MQTT, beside another', expected: 'they alone wait, and nothing of them is lost; the other waits at most 1.2 times as long',
  tiers: { commit: 1, nightly: 6, release: 6 }, alone: true,
  run: noisyDevices
}]
