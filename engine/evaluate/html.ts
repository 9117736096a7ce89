import { visible } from '../names.ts'

/** Text that is HTML already. Made by `html` (and of the page's own style), so that nothing comes into a page unescaped. */
export class Html {
  readonly text: string
  constructor (text: string) { this.text = text }
}

type Part = Html | string | number | false | undefined | readonly Part[]

/** html`<td>${name}</td>`: what is put in is escaped, but for Html; lists are joined, false and undefined are nothing. */
export function html (texts: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return new Html(texts.map((text, i) => i === 0 ? text : render(parts[i - 1]) + text).join(''))
}

function render (part: Part): string {
  if (part === undefined || part === false) return ''
  if (part instanceof Html) return part.text
  return Array.isArray(part) ? part.map(render).join('') : escape(String(part as string | number))
}

const escape = (text: string): string => visible(text).replace(/[&<>"'`]/g, c => `&#${c.charCodeAt(0)};`)
