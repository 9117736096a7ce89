const QUOTE = 0x22, COMMA = 0x2c, PLUS = 0x2b, MINUS = 0x2d, POINT = 0x2e, ZERO = 0x30, NINE = 0x39, COLON = 0x3a, OPEN = 0x5b, CLOSE = 0x5d, BEGIN = 0x7b, END = 0x7d
const SPACE = 0x20, TAB = 0x09, NEWLINE = 0x0a, RETURN = 0x0d
const bytesOf = (text: string): readonly number[] => Array.from(text, c => c.charCodeAt(0))
const TIME = 1, VALUE = 2, COLUMN = 3          // what a key says; COLUMN: a value in columns only
const KEYS = ([['ts', TIME], ['t', TIME], ['time', TIME], ['timestamp', TIME], ['value', VALUE], ['v', COLUMN]] as const).map(([text, says]) => ({ bytes: bytesOf(`"${text}"`), says }))
const POWERS = Array.from({ length: 23 }, (_, k) => Number(`1e${k}`))
const EXACT = 2 ** 53

/**
 * The commonest JSON without JSON.parse: `{"ts": 1767225600000.2, "value": 21.5}` and columns `{"t": [...], "v": [...]}`, where all are
 * numbers; the keys as json.ts has them, in any order. Everything else it leaves to JSON.parse, so what it does take must come
 * out the same: json.test.ts holds it to that. 20 to 40 ns a number.
 */
export class Plain {
  times: Float64Array = new Float64Array(64)
  values: Float64Array = new Float64Array(64)
  private bytes: Uint8Array = new Uint8Array(0)
  private at = 0

  /** How many readings there are: then times and values begin with them. 0: the bytes are of another form. */
  read (bytes: Uint8Array): number {
    this.bytes = bytes
    this.at = 0
    if (!this.past(BEGIN)) return 0
    const first = this.key(), some = first === 0 ? 0 : this.numbers(first)
    if (some === 0 || !this.past(COMMA)) return 0
    const second = this.key(), as = second === 0 || (first === TIME) === (second === TIME) ? 0 : this.numbers(second)
    if (as !== some || !this.past(END)) return 0
    if (this.at < bytes.length) this.space()
    return this.at === bytes.length ? Math.abs(some) : 0
  }

  /** Goes past a key and its colon; 0 when it is none that we know. */
  private key (): number {
    if (!this.past(QUOTE)) return 0
    const { bytes } = this, from = this.at - 1
    for (const key of KEYS) {
      let k = 1
      while (k < key.bytes.length && bytes[from + k] === key.bytes[k]) k++
      if (k < key.bytes.length) continue
      this.at = from + k
      return this.past(COLON) ? key.says : 0
    }
    return 0
  }

  /** Goes past a number, -1, or an array of some: how many. 0: it is neither. */
  private numbers (says: number): number {
    const many = this.past(OPEN)
    if (!many && says === COLUMN) return 0
    let to = says === TIME ? this.times : this.values, n = 0
    do {
      const x = this.number()
      if (x !== x) return 0
      if (n === to.length) to = this.grow(says)
      to[n++] = x
    } while (many && this.past(COMMA))
    return many ? this.past(CLOSE) ? n : 0 : -1
  }

  /**
   * Goes past a number of JSON; NaN when there is none. Digits below 2^53 and a power of ten up to 22 make the nearest double by one
   * division (W. D. Clinger, How to read floating point numbers accurately, 1990); other numbers are read as a text. Nine digits at a
   * time are an integer of 31 bits.
   */
  private number (): number {
    const { bytes } = this
    let at = this.at
    if (bytes[at] <= SPACE) { this.space(); at = this.at }
    const from = at, negative = bytes[at] === MINUS
    if (negative) at++
    const whole = at
    let digit = bytes[at] ^ ZERO, digits = 0
    for (let n = 0; digit <= 9 && n < 9; n++) { digits = digits * 10 + digit; digit = bytes[++at] ^ ZERO }
    if (at === whole || (bytes[whole] === ZERO && at > whole + 1)) return NaN
    if (digit <= 9) {
      const begin = at
      let more = 0
      for (let n = 0; digit <= 9 && n < 9; n++) { more = more * 10 + digit; digit = bytes[++at] ^ ZERO }
      digits = digits * POWERS[at - begin] + more
    }
    let point = 0
    if (bytes[at] === POINT) {
      const begin = ++at
      let more = 0
      digit = bytes[at] ^ ZERO
      for (let n = 0; digit <= 9 && n < 9; n++) { more = more * 10 + digit; digit = bytes[++at] ^ ZERO }
      point = at - begin
      if (point === 0) return NaN
      digits = digits * POWERS[point] + more
    }
    if (digit <= 9 || (bytes[at] | 0x20) === 0x65 || digits >= EXACT) return this.written(from, at)
    this.at = at
    const x = point === 0 ? digits : digits / POWERS[point]
    return negative ? -x : x
  }

  /** The number from `from`, of which what stands before `at` is right so far, as a text. */
  private written (from: number, at: number): number {
    const { bytes } = this, isDigit = () => bytes[at] >= ZERO && bytes[at] <= NINE
    while (isDigit()) at++
    if (bytes[at] === POINT) {
      if (bytes.subarray(from, at).includes(POINT)) return NaN
      at++
      if (!isDigit()) return NaN
      while (isDigit()) at++
    }
    if ((bytes[at] | 0x20) === 0x65) {
      at++
      if (bytes[at] === MINUS || bytes[at] === PLUS) at++
      if (!isDigit()) return NaN
      while (isDigit()) at++
    }
    this.at = at
    return Number(Buffer.from(bytes.buffer, bytes.byteOffset + from, at - from).toString('latin1'))
  }

  private grow (says: number): Float64Array {
    const before = says === TIME ? this.times : this.values, longer = new Float64Array(2 * before.length)
    longer.set(before)
    return says === TIME ? this.times = longer : this.values = longer
  }

  private space (): void {
    const { bytes } = this
    let c = bytes[this.at]
    while (c === SPACE || c === NEWLINE || c === RETURN || c === TAB) c = bytes[++this.at]
  }

  /** Goes past this byte if it is the next one but for space. */
  private past (byte: number): boolean {
    if (this.bytes[this.at] !== byte) {
      this.space()
      if (this.bytes[this.at] !== byte) return false
    }
    this.at++
    return true
  }
}
