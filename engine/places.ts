import { isAlias, isMap, isScalar, isSeq, type Document, type LineCounter, type Node, type Scalar } from 'yaml'
import type { Finding, Place } from './report.ts'

/** From paths to places in the text. */
export class Places {
  private readonly doc: Document
  private readonly lines: LineCounter
  private readonly rows: readonly string[]
  private readonly file: string
  constructor (doc: Document, lines: LineCounter, text: string, file: string) {
    this.doc = doc
    this.lines = lines
    this.rows = text.split(/\r?\n/)
    this.file = file
  }

  /** The key or value at a path; of what is not there, the nearest thing around it. A map or list is shown by its key. */
  place ({ path, key = false, row }: Finding): Place {
    let node: unknown = this.doc.contents, name: unknown
    let depth = 0
    for (const part of path) {
      const inside: unknown = isAlias(node) ? node.resolve(this.doc) : node
      if (isMap(inside)) {
        const pair = inside.items.find(p => isScalar(p.key) ? String(p.key.value) === String(part) : false)
        if (pair === undefined) break
        name = pair.key
        node = pair.value
      } else if (isSeq(inside) && typeof part === 'number' && part < inside.items.length) {
        node = inside.items[part]
        name = undefined
      } else break
      depth++
    }
    const there = depth === path.length
    if (there && row !== undefined && isScalar(node)) return this.row(node, row)
    const value = isScalar(node) && node.range != null && node.range[1] > node.range[0]
    if (name !== undefined && (key && there || !there || !value)) return this.of(name as Node)
    return this.of(node as Node | null)
  }

  of (node: Node | null): Place {
    const [from = 0, to = 1] = node?.range ?? []
    return this.between(from, isMap(node) || isSeq(node) ? from + 1 : to)
  }

  between (from: number, to: number): Place {
    const { line, col } = this.lines.linePos(from)
    const text = this.rows[line - 1] ?? ''
    return { file: this.file, line, column: col, length: Math.max(1, Math.min(to - from, text.length - col + 1)), text }
  }

  /** A line of a block of text; of text in quotes, its beginning. */
  private row (node: Scalar, row: number): Place {
    const at = this.of(node as Node)
    if (node.type !== 'BLOCK_LITERAL') return at
    const text = this.rows[at.line + row] ?? ''
    const column = text.length - text.trimStart().length + 1
    return { ...at, line: at.line + row + 1, column, length: Math.max(1, text.trim().length), text }
  }
}
