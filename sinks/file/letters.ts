import { appendFile, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Letter, LetterQuery } from '#engine'

const REQUEUED = 'requeued.ndjson'

/** Dead letters, or late rows in the same form, from the files of a store, newest first. Reads lines that are whole, also while the store is at work. */
export async function lettersOf (folder: string, { late = false, reason, position, requeued = false, limit }: LetterQuery): Promise<Letter[]> {
  const again = new Set(await linesOf(folder, REQUEUED))
  const names = (await readdir(folder).catch(() => [])).filter(name => name.startsWith(late ? 'late.' : 'dead_letters.')).toSorted().toReversed()
  const letters: Letter[] = []
  for (const name of names) {
    const parts = new Map<string, number>(), taken = new Set<string>()
    for (const line of await linesOf(folder, name)) {
      const letter = late ? lateOf(JSON.parse(line), parts) : deadOf(JSON.parse(line), taken)
      const known = again.has(keyOf(letter))
      if ((reason === undefined || letter.reason === reason) && (position === undefined || letter.position === position) && (requeued || !known)) letters.push({ ...letter, requeued: known })
    }
  }
  return letters.toSorted((a, b) => b.ingest - a.ingest || b.position - a.position || a.part - b.part).slice(0, limit)
}

export const markRequeued = (folder: string, letters: readonly Letter[]): Promise<void> => appendFile(join(folder, REQUEUED), letters.map(l => `${keyOf(l)}\n`).join(''))

const keyOf = ({ reason, origin, position, part }: Letter): string => `${reason === 'late' ? 'late' : 'dead'} ${origin} ${position} ${part}`
const linesOf = (folder: string, name: string): Promise<string[]> => readFile(join(folder, name), 'utf8').then(text => text.split('\n').slice(0, -1), () => [])

/** A part that is taken, by a letter of an earlier commit at the same position (a tick that came after it), is numbered on. */
function deadOf ({ origin = '', position, part, reason, detail, topic, payload, ingest }: any, taken: Set<string>): Letter {
  while (taken.has(`${origin} ${position} ${part}`)) part++
  taken.add(`${origin} ${position} ${part}`)
  return { origin, position, part, reason, detail, topic, payload: Buffer.from(payload, 'base64'), ingest: Date.parse(ingest), requeued: false }
}

function lateOf ({ branch, step, origin = '', position, ingest, tenant, device, metric, time, value }: any, parts: Map<string, number>): Letter {
  const message = `${origin} ${position}`, part = parts.get(message) ?? 0
  parts.set(message, part + 1)
  const reading = { tenant, device, metric, time: microsOf(time) / 1000, value }
  return { origin, position, part, reason: 'late', detail: `${branch}/${step}`, topic: `${tenant}/${device}/${metric}`, payload: Buffer.from(JSON.stringify(reading)), ingest: Date.parse(ingest), requeued: false }
}

/** ISO 8601 with six digits of the second, in microseconds. */
const microsOf = (text: string): number => Date.parse(`${text.slice(0, 23)}Z`) * 1000 + Number(text.slice(23, 26))
