const VOID = ['meta', 'br', 'hr', 'img', 'input', 'link']
const ELEMENTS = new Set('html head meta title style body header main footer nav section h1 h2 h3 p small strong em a ul li dl div dt dd table caption thead tbody tr th td figure figcaption details summary span svg desc rect line path text g clippath'.split(' '))

export interface Element { readonly name: string, readonly attributes: Readonly<Record<string, string>>, text: string, readonly children: Element[] }

/**
 * Reads a page more strictly than a browser: every element is one of a known few and is closed in its order, attributes are quoted
 * and stand once, no character that HTML needs escaped stands bare. Throws at the first thing that is wrong. `text` is unescaped.
 */
export function parseStrictly (page: string): Element {
  if (!page.startsWith('<!doctype html>\n')) throw new Error('no doctype')
  const root: Element = { name: '#page', attributes: {}, text: '', children: [] }, open = [root]
  let rest = page.slice('<!doctype html>\n'.length)
  const fail = (what: string): never => { throw new Error(`${what} at ${JSON.stringify(rest.slice(0, 80))}`) }
  while (rest !== '') {
    const here = open[open.length - 1]
    if (here.name === 'style') {
      const end = rest.indexOf('</style>')
      here.text = rest.slice(0, end)
      rest = rest.slice(end)
    }
    const [tag, closing, name, attributes] = /^<(\/?)([A-Za-z][A-Za-z0-9]*)((?:\s+[a-zA-Z][a-zA-Z0-9-]*="[^"<>]*")*)\s*\/?>/.exec(rest) ?? []
    if (tag === undefined) {
      if (rest.startsWith('<')) fail('a bare <')
      const text = rest.slice(0, rest.indexOf('<') < 0 ? rest.length : rest.indexOf('<'))
      here.text += unescape(text, fail)
      rest = rest.slice(text.length)
      continue
    }
    const known = name.toLowerCase()
    if (closing !== '') {
      if (here.name !== known) fail(`</${known}> closes <${here.name}>`)
      open.pop()
    } else {
      if (!ELEMENTS.has(known)) fail(`an element <${known}>`)
      const element: Element = { name: known, attributes: {}, text: '', children: [] }
      for (const [, key, value] of attributes.matchAll(/([a-zA-Z][a-zA-Z0-9-]*)="([^"]*)"/g)) {
        if (key in element.attributes) fail(`${key} twice`)
        ;(element.attributes as Record<string, string>)[key] = unescape(value, fail)
      }
      here.children.push(element)
      if (!tag.endsWith('/>') && !VOID.includes(known)) open.push(element)
    }
    rest = rest.slice(tag.length)
  }
  if (open.length > 1) throw new Error(`<${open[open.length - 1].name}> is not closed`)
  return root
}

function unescape (text: string, fail: (what: string) => never): string {
  if (/&(?!#\d+;)/.test(text)) fail(`a bare & in ${JSON.stringify(text.slice(0, 60))}`)
  return text.replace(/&#(\d+);/g, (_, code: string) => String.fromCodePoint(Number(code)))
}

/** All elements, in the order of the page. */
export const elements = (element: Element): Element[] => element.children.flatMap(child => [child, ...elements(child)])
/** All text in an element. */
export const textIn = (element: Element): string => element.text + element.children.map(textIn).join(' ')
