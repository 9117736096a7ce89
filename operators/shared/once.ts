/** What is worked out of a thing, such as the options of a step: once, and kept for as long as the thing is there. It must hold no memory of a stream. */
export function once<K extends object, V extends object> (make: (of: K) => V): (of: K) => V {
  const known = new WeakMap<K, V>()
  return of => {
    let made = known.get(of)
    if (made === undefined) known.set(of, made = make(of))
    return made
  }
}
