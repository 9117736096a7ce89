/** What stands for a secret where it is not to be seen. */
export const MASK = '***'
const SECRET = /password|passphrase|secret|token|authorization|api-?key|private/i

/** Is what goes by this name, or path of names, a secret? All headers count as such: nobody knows what they are called. */
export const isSecret = (name: string): boolean => SECRET.test(name) || /\.headers\./i.test(name)

/** A text that may be a URL, or user:password@host, without its password and without what secrets its query has. Of a URL all up to the last @ counts as the password, for those in which / ? or # should have been encoded. */
export function masked (text: string): string {
  const isUrl = /^\w[\w+.-]*:\/\//.test(text)
  if (!isUrl) return text.replace(/^([^\s/@:?#]+:)[^\s/?#@]+@(?=[\w.[-]+\S*$)/, `$1${MASK}@`)
  return text.replaceAll(/([?&]([^=&#]*)=)[^&#]*/g, (all, name: string, key: string) => isSecret(key) ? `${name}${MASK}` : all).replace(/^(\w[\w+.-]*:\/\/[^/@:?#]*:).*@/s, `$1${MASK}@`)
}

/** Of a URL in which path and query are secrets too. */
export function maskedPath (text: string): string {
  if (!URL.canParse(text)) return MASK
  const { protocol, host, pathname, search } = new URL(text)
  return `${protocol}//${host}${pathname === '/' && search === '' ? '' : `/${MASK}`}`
}

/** A value given for the option of this name, as a message may show it. */
export function shownFor (name: string, value: unknown, schema?: { readonly 'x-secret'?: boolean, readonly 'x-secret-path'?: boolean }): unknown {
  if (isSecret(name) || schema?.['x-secret'] === true) return MASK
  if (typeof value === 'string') return schema?.['x-secret-path'] === true ? maskedPath(value) : masked(value)
  if (Array.isArray(value)) return value.map(item => shownFor(name, item, schema))
  return value === null || typeof value !== 'object' ? value : Object.fromEntries(Object.entries(value).map(([key, item]) => [key, shownFor(`${name}.${key}`, item)]))
}

const SHORT = 8                      // characters of what is too short to be known again

/** What another side has said, without those of the secrets that it was sent, their words, and their base64. */
export function withoutSecrets (text: string, secrets: readonly (string | undefined)[]): string {
  const words = secrets.flatMap(secret => secret === undefined ? [] : [secret, ...secret.split(/[\s,;=&?/]+/)]).filter(word => word.length >= SHORT)
  return [...words, ...words.map(word => Buffer.from(word).toString('base64'))].toSorted((a, b) => b.length - a.length).reduce((rest, word) => rest.replaceAll(word, MASK), text)
}
