import { Checkpoints } from '../../engine/checkpoint.ts'
import { Dispatcher } from '../../engine/dispatch.ts'
import { Journal } from '../../engine/journal.ts'
import { Redeliveries } from '../../engine/redelivery.ts'
import { RedeliveryLog } from '../../engine/redelivery-log.ts'
import { Recovery } from '../../engine/recovery.ts'
import { Run } from '../../engine/run.ts'
import { Snapshots } from '../../engine/snapshot.ts'
import { Watermarks } from '../../engine/watermark.ts'
import { Wal } from '../../engine/wal.ts'
import type { Omissions } from './store.ts'

/** A bug put into the engine on purpose; `plant` returns how to take it out again. `omit`: what the store leaves out. `quick`: found within a few seeds. */
export interface Plant { readonly name: string, readonly quick?: true, readonly omit?: Omissions, readonly plant?: () => () => void }

/** Puts another method in the place of one, given the one that was there. */
function instead (of: { readonly prototype: any }, method: string, make: (before: (...args: any[]) => any) => (this: any, ...args: any[]) => unknown): () => void {
  const { prototype } = of, before = prototype[method]
  prototype[method] = make(before)
  return () => { prototype[method] = before }
}

export const plants: readonly Plant[] = [
  { name: 'acknowledged before the sync', quick: true, plant: () => instead(Journal, 'append', before => function (message) {
    const position = before.call(this, message)
    if (position !== undefined) this.listener?.durable(position)
    return position
  }) },
  { name: 'a commit of unknown outcome is tried again, behind a guard without version', quick: true, omit: { version: true, unknown: true } },
  { name: 'what may come again is forgotten at a start', plant: () => instead(RedeliveryLog, 'open', before => async function (...args) {
    const newest = await before.apply(this, args)
    this.entries.clear()
    return newest
  }) },
  { name: 'a message that comes again is not looked for', plant: () => instead(Redeliveries, 'find', () => () => undefined) },
  { name: 'what was confirmed is never forgotten, and found by packet id alone', plant: () => instead(Redeliveries, 'find', () => function (client, packet) { return this.clients.get(client)?.entries.get(packet)?.position }) },
  { name: 'a snapshot says a position after its state', plant: () => instead(Checkpoints, 'begin', before => function (...args) {
    before.apply(this, args)
    this.underWay = { ...this.underWay, position: this.underWay.position + 1 }
  }) },
  { name: 'pages are copied after they were changed', plant: () => instead(Snapshots, 'change', () => function (page) {
    this.touched[this.pages[page].partition] = 1
    this.dirty[page] = true
  }) },
  { name: 'changed pages are not part of the next snapshot', quick: true, plant: () => instead(Snapshots, 'change', () => function (page) {
    this.touched[this.pages[page].partition] = 1
    if (this.pending[page]) this.copy(page)
  }) },
  { name: 'silence is not replayed', quick: true, plant: () => instead(Recovery, 'replay', before => function (flow, delivery, process) {
    return before.call(this, flow, delivery, (f: unknown, d: any) => d.mark?.kind === 'tick' ? (f as any).position = d.upTo : process(f, d))
  }) },
  { name: 'outputs of a replay are written again', quick: true, plant: () => instead(Recovery, 'replay', () => (_, delivery) => delivery) },
  { name: 'a replay ends one record too early', quick: true, plant: () => instead(Recovery, 'caughtUp', before => function (flow) { return before.call(this, flow) || flow.position >= this.upTo - 1 }) },
  { name: 'the place in the log moves to the newest snapshot', plant: () => instead(Checkpoints, 'committed', before => function (part, marks) {
    const done = before.call(this, part, marks)
    return done === undefined ? undefined : this.kept.at(-1).position
  }) },
  { name: 'the place in the log moves before the commit', quick: true, plant: () => instead(Run, 'settle', before => function (outputs, ...rest) {
    this.source.done?.(outputs.position)
    return before.call(this, outputs, ...rest)
  }) },
  { name: 'an alert is sent when it is decided', quick: true, plant: () => instead(Run, 'settle', before => function (outputs, ...rest) {
    for (const { event } of outputs.alerts) for (const receiver of this.dispatcher?.options.receivers.values() ?? []) void receiver.send({ id: event.id, events: [event] }, new AbortController().signal).catch(() => {})
    return before.call(this, outputs, ...rest)
  }) },
  { name: 'an alert is stored with another value than that on which it fired', quick: true, plant: () => instead(Run, 'settle', before => function (outputs, ...rest) {
    return before.call(this, Object.assign(Object.create(Object.getPrototypeOf(outputs)), outputs, { alerts: outputs.alerts.map((alert: any) => ({ ...alert, event: { ...alert.event, value: alert.event.value + 1 } })) }), ...rest)
  }) },
  { name: 'an alert counts as delivered before it is sent', plant: () => instead(Dispatcher, 'work', before => function (entry, ...rest) {
    void this.options.store.settle(entry, { state: 'delivered' }).catch(() => {})
    return before.call(this, entry, ...rest)
  }) },
  { name: 'a start says that everybody was listening', quick: true, plant: () => instead(Watermarks, 'listen', before => function (...args) {
    const { heard } = this.memory.held, was = heard.slice()
    const batch = before.apply(this, args)
    this.memory.held.heard.set(was)
    return batch
  }) },
  { name: 'a process writes on after it was overtaken', plant: () => instead(Wal, 'guard', () => () => {}) }
]
