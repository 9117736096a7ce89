import { Transient, type Notice, type Batch, type Receiver, type SeriesTable, type Sink } from '#engine'
import { keyOf, type Database } from './database.ts'
import { contentOf } from './oracle.ts'
import type { Process } from './process.ts'
import type { World } from './world.ts'

/** Chances per call, and ms. */
export interface SinkTemper { readonly slow: number, readonly before: number, readonly after: number }

/** A follower outside: the same row must come with the same values, however often it comes. */
export class Follower {
  readonly rows = new Map<string, string>()
  down = false
  readonly world: World
  constructor (world: World) { this.world = world }

  open (process: Process, series: SeriesTable, temper: () => SinkTemper): Sink {
    const { world } = this
    return {
      write: (batch: Batch<any>) => {
        const rows = Array.from(batch.time, (_, i) => [keyOf(series, batch, i), `${batch.value[i]} ${batch.columns.ewma[i]}`] as const)
        return process.ask('follower', world.between(0.2, 2 * temper().slow), () => {
          if (this.down || world.chance(temper().before)) throw new Transient('the follower is not there')
          for (const [key, row] of rows) {
            const known = this.rows.get(key)
            world.check(known === undefined || known === row, () => `the follower is given ${key} = ${row} after ${known}`)
            this.rows.set(key, row)
          }
          if (world.chance(temper().after)) throw new Transient('the follower gave no answer')
        }, true)
      },
      close: async () => {}
    }
  }
}

/** A receiver of alerts outside. What it is sent must be in the store. */
export class Receipts {
  readonly sent = new Map<string, string>()     // id -> contentOf
  down = false
  private readonly world: World
  private readonly database: Database
  constructor (world: World, database: Database) {
    this.world = world
    this.database = database
  }

  open (process: Process, temper: () => SinkTemper): Receiver {
    const { world } = this
    return {
      send: ({ events: [event] }: Notice) => process.ask('receiver', world.chance(0.01) ? world.between(50_000, 70_000) : world.between(0.5, 2 * temper().slow), () => {
        if (this.down || world.chance(temper().before)) throw new Transient('the receiver is not there')
        world.check(this.database.alerts.has(event.id), () => `the alert ${event.id} is sent, and the store does not have it`)
        world.count(this.sent.has(event.id) ? 'alerts sent again' : 'alerts sent')
        const content = contentOf(event), before = this.sent.get(event.id) ?? content
        world.check(before === content, () => `the alert ${event.id} is sent again as another one: ${content} after ${before}`)
        this.sent.set(event.id, content)
        if (world.chance(temper().after)) throw new Transient('the receiver gave no answer')
      }, true),
      close: async () => {}
    }
  }
}
