import fc from 'fast-check'
import assert from 'node:assert/strict'
import { deserialize, serialize } from 'node:v8'
import type { Batch, Operator } from '#engine'
import { alone, deliveries, logs, Run, type Log, type Row } from './stream.ts'

export type Law = (make: () => Operator, runs?: fc.Parameters<any>) => void
const cuts = fc.infiniteStream(fc.boolean()).map(s => [...s.take(64)])
const cutBy = (log: Log, mask: readonly boolean[]) => deliveries(log, i => mask[i % mask.length])
const everywhere = () => true

/** What every operator promises, whatever it computes. */
export const laws = {
  'gives the same rows for the same input' (make, runs) {
    fc.assert(fc.property(logs, cuts, (log, mask) => {
      const parts = cutBy(log, mask)
      const one = new Run(make()).feed(parts), two = new Run(make()).feed(parts)
      same(two.rows, one.rows)
      same(two.late, one.late)
    }), runs)
  },

  'does not care where the stream is cut into batches' (make, runs) {
    fc.assert(fc.property(logs, cuts, (log, mask) => {
      const fine = new Run(make()).feed(deliveries(log, everywhere)), coarse = new Run(make()).feed(cutBy(log, mask))
      same(coarse.rows, fine.rows)
      same(coarse.late, fine.late)
      assert.equal(coarse.aggregated, fine.aggregated)
    }), runs)
  },

  'resumes from a snapshot as if nothing had happened' (make, runs) {
    fc.assert(fc.property(logs, cuts, fc.nat(40), (log, mask, at) => {
      const parts = cutBy(log, mask)
      const whole = new Run(make()).feed(parts)
      const first = new Run(make()).feed(parts.slice(0, at))
      const second = new Run(make(), first)
      second.stage.load(deserialize(serialize(first.stage.save())))
      second.watermarks.load(deserialize(serialize(first.watermarks.save())))
      second.feed(parts.slice(at))
      same([...first.rows, ...second.rows], whole.rows)
      same([...first.late, ...second.late], whole.late)
    }), runs)
  },

  'leaves its input as it found it' (make, runs) {
    fc.assert(fc.property(logs, cuts, (log, mask) => {
      const run = new Run(make())
      const before: [Batch<any>, unknown][] = []
      for (const part of cutBy(log, mask)) {
        const batch = run.batch(part)
        if (batch === undefined) continue
        before.push([batch, structuredClone({ ...batch })])
        run.process(batch)
      }
      for (const [batch, copy] of before) assert.deepEqual({ ...batch }, copy)
    }), runs)
  },

  'lets no series see another, or says that it does' (make, runs) {
    const { definition: { crosses }, options } = make()
    if (crosses === true || crosses?.(options) === true) return
    fc.assert(fc.property(logs, cuts, (log, mask) => {
      const parts = cutBy(log, mask)
      const all = new Run(make()).feed(parts)
      for (let s = 0; s < all.table.size; s++) {
        const name = all.nameOf(s)
        same(new Run(make()).feed(parts, s).rows, all.rows.filter(row => row[0] === name))
      }
    }), runs)
  },

  'gives a device alone, with its own progress, the same rows in the same order as in company' (make, runs) {
    fc.assert(fc.property(logs, cuts, (log, mask) => {
      const company = new Run(make()).feed(cutBy(log, mask))
      for (const device of ['d0', 'd1', 'd2']) {
        const single = new Run(make()).feed(cutBy(alone(log, device), mask))
        same(single.rows, company.rows.filter(row => row[0].startsWith(`${device}/`)))
        same(single.late, company.late.filter(row => row[0].startsWith(`${device}/`)))
      }
    }), runs)
  },

  'when it learns, has a device that is learned anew as a new one; else as before; and others in any case' (make, runs) {
    fc.assert(fc.property(logs, cuts, fc.nat(40), fc.constantFrom('d0', 'd1', 'd2'), (log, mask, at, device) => {
      const parts = cutBy(log, mask), began = () => new Run(make()).feed(parts.slice(0, at)), before = began().rows.length
      const plain = began().feed(parts.slice(at)), anew = began(), fresh = new Run(make(), anew)
      fresh.watermarks.load(anew.watermarks.save())
      fresh.feed(parts.slice(at))
      anew.relearn(device)
      anew.feed(parts.slice(at))
      const rest = { plain: plain.rows.slice(before), anew: anew.rows.slice(before), fresh: fresh.rows }, own = ([series]: Row) => series.startsWith(`${device}/`), { name, learns } = make().definition
      if (name !== 'chain') same(rest.anew.filter(own), rest[learns === true ? 'fresh' : 'plain'].filter(own))
      same(rest.anew.filter(row => !own(row)), rest.plain.filter(row => !own(row)))
      if (learns !== true && name !== 'chain') same(anew.late, plain.late)
    }), runs)
  },

  'never moves progress or watermark' (make, runs) {
    each(make, runs, (out, batch) => {
      assert.deepEqual(out.progress, batch.progress)
      assert.equal(out.watermark, batch.watermark)
    })
  },

  'adds exactly the columns it says it adds' (make, runs) {
    each(make, runs, (out, batch, { adds, definition: { windows } }) => {
      const kept = windows ? [] : Object.keys(batch.columns)
      for (const b of [out, ...out.provisional === undefined ? [] : [out.provisional]]) {
        assert.deepEqual(new Set(Object.keys(b.columns)), new Set([...kept, ...adds]))
        for (const column of [b.series, b.value, b.arrival, b.position, ...Object.values(b.columns)]) assert.equal((column as Float64Array).length, b.length)
      }
    })
  },

  'loses and makes no row without saying so' (make, runs) {
    each(make, runs, (out, batch, { definition: { drops, derives, windows } }, { late, aggregated }) => {
      if (windows) return assert.equal(aggregated + late, batch.length)
      assert.equal(late + aggregated, 0)
      const came = identities(batch), went = identities(out)
      let next = 0, known = 0
      for (const row of went) {
        const at = came.indexOf(row, next)
        if (at >= 0) { known++; next = at + 1 }
      }
      if (!derives) assert.equal(known, out.length, 'a row that was not there before, or not in this order')
      if (drops === undefined) assert.equal(known, batch.length, 'a row has vanished')
    })
  },

  'gives its rows in the order of the log' (make, runs) {
    each(make, runs, (out, batch) => {
      const ticked = batch.progress.tick
      const there = new Set([...batch.position, ...batch.progress.position, ...Number.isNaN(ticked) ? [] : [ticked]])
      for (const position of out.position) assert.ok(there.has(position), `no record of this batch has position ${position}`)
      for (let i = 1; i < out.length; i++) assert.ok(out.position[i] >= out.position[i - 1], 'positions go back')
    })
  }
} satisfies Record<string, Law>

type Fates = { readonly late: number, readonly aggregated: number }

function each (make: () => Operator, runs: fc.Parameters<any> | undefined, check: (out: Batch<any>, batch: Batch<any>, operator: Operator, fates: Fates) => void): void {
  fc.assert(fc.property(logs, cuts, (log, mask) => {
    const operator = make(), run = new Run(operator)
    for (const part of cutBy(log, mask)) {
      const batch = run.batch(part)
      if (batch === undefined) continue
      const late = run.late.length, aggregated = run.aggregated
      check(run.process(batch), batch, operator, { late: run.late.length - late, aggregated: run.aggregated - aggregated })
    }
  }), runs)
}

/** assert.deepEqual of rows; that itself takes longer than what made them, so it is asked only where a number differs. */
function same (actual: readonly Row[], expected: readonly Row[]): void { if (!isSame(actual, expected)) assert.deepEqual(actual, expected) }
const isSame = (a: unknown, b: unknown): boolean => Object.is(a, b) || Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((x, i) => isSame(x, b[i]))

/** Rows by what no operator may change: series, time and position. */
const identities = (batch: Batch<any>): string[] => Array.from(batch.time, (time, i) => `${batch.series[i]} ${time} ${batch.position[i]}`)
