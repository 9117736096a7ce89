import { fileText } from '#engine'
import { fromMlIsolationForest } from '../../models/forest-import.ts'
import type { Forest } from '../../models/forest.ts'
import { once } from './once.ts'

const MOST = 64 * 2 ** 20            // bytes of a file: 100 trees on 2,000 vectors of 10 numbers have about 45 MB

/** What a step has that scores by the forest of a file. */
export interface Imported { readonly forest: Forest, readonly digest: number }

/** What a file holds, for the options of a step: the forest, or a sentence that says why it has none. Read once. */
export const importedOf = once<{ readonly model?: string | undefined, readonly columns: readonly string[] }, { readonly imported?: Imported, readonly fault?: string }>(({ model, columns }) => {
  if (model === undefined) return {}
  try {
    const forest = fromMlIsolationForest(parsed(model), { cMode: 'mljs' })
    if (forest.d !== columns.length) throw new TypeError(`${model}: it was trained on vectors of ${forest.d} numbers, and columns names ${columns.length}: name them in the order of those numbers`)
    return { imported: { forest, digest: digestOf(forest) } }
  } catch (error) {
    const { message } = error as Error
    return { fault: `model: ${message.startsWith(model) ? '' : `${model}: `}${message}` }
  }
})

function parsed (model: string): any {
  const text = fileText(model, MOST)
  try { return JSON.parse(text) } catch (cause) { throw new TypeError(`not JSON: ${(cause as Error).message}`, { cause }) }
}

/** By which memory of another forest is told: of all its numbers. */
function digestOf ({ feature, threshold, right, expected }: Forest): number {
  const bytes = [feature, threshold, right, Float64Array.of(expected)].flatMap(part => [new Uint8Array(part.buffer, part.byteOffset, part.byteLength)])
  let digest = 1
  for (const part of bytes) for (let i = 0; i < part.length; i++) digest = (digest * 31 + part[i]) % 2147483647
  return digest
}
