import { join } from 'node:path'
import { defineSink, Duration, File, Type, type SinkHost, type Store, type StorePlan } from '#engine'
import { KEPT } from './file/data.ts'
import { FileStore } from './file/store.ts'

/**
 * Rows in local files, one JSON object per line, committed together with the position: through any crash each row stands
 * there once. Windows that change are written again with a higher revision; the last line of a window is the one that counts.
 */
export const file = defineSink({
  name: 'file',
  summary: 'Rows in local files of JSON lines, committed together with the position; needs no database.',
  options: Type.Object({
    table: Type.String({ description: 'Name of the file, without .ndjson.', pattern: '^[a-z][a-z0-9_]{0,62}$' }),
    folder: Type.Optional(File({ description: 'Folder of the store; a folder per pipeline is made in it. The data folder of the process when absent.', minLength: 1 })),
    retention: Duration({ description: 'How long late rows, dead letters and alerts are kept. Rows of tables are never deleted.', default: '30d' })
  }),
  check: ({ table }) => (KEPT as readonly string[]).includes(table) ? `table "${table}" is a name that the store uses itself` : undefined,
  storeKey: ({ folder = '' }) => folder,
  store: (options, plan, host) => fileStore(plan, host, { folder: options[0].folder, retention: Math.max(...options.map(o => o.retention)) })
})

/** The store of a pipeline whose sinks bring none: position, counts, late rows, dead letters and alerts, in `<folder>/store/<pipeline>`. */
export const fileStore = (plan: StorePlan, host: SinkHost, { folder, retention }: { folder?: string | undefined, retention?: number } = {}): Store =>
  new FileStore(join(folder ?? join(host.folder, 'store'), safe(plan.pipeline)), plan, host, retention === undefined ? {} : { retention })

/** A pipeline's name as the name of a folder. */
const safe = (name: string): string => encodeURIComponent(name).replace(/^\.|\*/g, c => c === '.' ? '%2E' : '%2A')
