import t from 'tap'
import { newKey, readKey, sameDigest } from '../../engine/api-key.ts'

t.test('a key is read as it was made, and no two are alike', async t => {
  const keys = Array.from({ length: 200 }, () => newKey())
  t.equal(new Set(keys.flatMap(k => [k.id, k.key, k.digest.toString('hex')])).size, 600)
  for (const { key, id, digest } of keys) {
    t.match(key, /^mr_[0-9A-Za-z]{8}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}$/)
    t.strictSame(readKey(key), { id, digest })
    t.notMatch(digest.toString('latin1'), key.slice(12, 55))
  }
})

t.test('what was cut off, mistyped or made up is no key, wherever it differs', async t => {
  const { key } = newKey()
  const wrong = ['', 'mr_', key.slice(0, -1), `${key}0`, ` ${key}`, key.replace('mr_', 'mx_'), key.toLowerCase() === key ? key.toUpperCase() : key.toLowerCase(), `${key}\n`]
  for (let k = 3; k < key.length; k++) if (key[k] !== '_') wrong.push(`${key.slice(0, k)}${key[k] === 'a' ? 'b' : 'a'}${key.slice(k + 1)}`)
  for (const text of wrong) t.equal(readKey(text), undefined, JSON.stringify(text))
})

t.test('digests are compared as a whole', async t => {
  const [a, b] = [newKey().digest, newKey().digest]
  t.ok(sameDigest(a, Buffer.from(a)))
  t.notOk(sameDigest(a, b))
  t.notOk(sameDigest(a, a.subarray(1)))
})
