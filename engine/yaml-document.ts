import { isScalar, parseDocument, visit, type Document, type LineCounter } from 'yaml'

/** `twice`: where keys stand that their map has already, from and to; `aliases`: how often anchors are repeated. */
export interface Parsed { readonly doc: Document.Parsed, readonly twice: readonly (readonly [from: number, to: number])[], readonly aliases: number }

/**
 * YAML, in time that grows as the text does: the parser compares each key with all before it, so equal ones are looked for here, and
 * errors with their stacks would take four times as long. @throws RangeError for what is nested too deeply
 */
export function parse (text: string, lineCounter: LineCounter): Parsed {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  try {
    return looked(parseDocument(text, { lineCounter, prettyErrors: false, version: '1.2', logLevel: 'silent', uniqueKeys: false }))
  } finally { Error.stackTraceLimit = stackTraceLimit }
}

function looked (doc: Document.Parsed): Parsed {
  const twice: (readonly [number, number])[] = []
  let aliases = 0
  visit(doc, {
    Alias () { aliases++ },
    Map (_, { items }) {
      const there = new Set<unknown>()
      for (const { key } of items) {
        if (!isScalar(key)) continue
        if (there.has(key.value) && key.range != null) twice.push([key.range[0], key.range[1]])
        there.add(key.value)
      }
    }
  })
  return { doc, twice, aliases }
}
