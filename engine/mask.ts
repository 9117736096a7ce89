/** What stands for a secret where it is not to be seen. */
export const MASK = '***'
const SECRET = /password|passphrase|secret|token|authorization|api-?key|private/i

/** Is what goes by this name, or path of names, a secret? All headers count as such: nobody knows what they are called. */
export const isSecret = (name: string): boolean => SECRET.test(name) || /\.headers\./i.test(name)

/** A text that may be a URL, without its password and without what secrets its query has. */
export function masked (text: string): string {
  if (!/^\w[\w+.-]*:\/\//.test(text)) return text
  const [before, query] = [text.replace(/^(\w[\w+.-]*:\/\/[^/@:?#]*:)[^/?#]*@/, `$1${MASK}@`), text.indexOf('?')]
  return query < 0 ? before : before.replaceAll(/([?&]([^=&#]*)=)[^&#]*/g, (all, name: string, key: string) => isSecret(key) ? `${name}${MASK}` : all)
}

/** Of a URL in which path and query are secrets too. */
export function maskedPath (text: string): string {
  if (!URL.canParse(text)) return MASK
  const { protocol, host, pathname, search } = new URL(text)
  return `${protocol}//${host}${pathname === '/' && search === '' ? '' : `/${MASK}`}`
}
