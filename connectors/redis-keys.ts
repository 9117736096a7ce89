import { createClient } from '@redis/client'
import { backoff, masked, MillraceError, Transient, type Claim, type KeyServer, type Logger, type Taken } from '#engine'

const PATIENCE = 1000                // ms for an answer; then the connection is made anew
const WAITING = 10_000               // ms in which nothing is reserved after the server has forgotten
const DAY = 24 * 3_600_000
const FIRST = 50, MOST = 2000        // ms between tries to connect
const QUEUE = 10_000                 // commands that wait for an answer

/**
 * What stands under a key: 'pending <hash> <owner>' or 'taken <hash> <owner> <position>'. All keys of a server are in one slot
 * ({millrace}), as a script takes several: of a space, what it remembers by (memory, waiting), a set for each owner of what it has
 * reserved, and the keys.
 */
const OURS = `local function ours (claim, owner) return string.match(claim or '', '^pending %x+ ([^ ]+)') == owner end`
const JOIN = `
local memory = redis.call('GET', KEYS[1])
local known = ARGV[2] ~= ''
local wait = known and memory ~= ARGV[2]
if not memory then
  memory, wait = ARGV[1], known or ARGV[3] == '1'
  redis.call('SET', KEYS[1], memory)
end
if wait then redis.call('SET', KEYS[2], '1', 'PX', ARGV[4]) end
return { memory, redis.call('SMEMBERS', KEYS[3]) }`
const RESERVE = `${OURS}
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'forgotten' end
local claim = redis.call('GET', KEYS[4])
if claim and not ours(claim, ARGV[2]) then return claim end
if not claim and redis.call('EXISTS', KEYS[2]) == 1 then return 'waiting' end
redis.call('SET', KEYS[4], 'pending ' .. ARGV[4] .. ' ' .. ARGV[2], 'PX', ARGV[5])
redis.call('SADD', KEYS[3], ARGV[3])
redis.call('PEXPIRE', KEYS[3], ARGV[5])
return 'reserved'`
const TAKE = `
local doubles = 0
for i = 2, #KEYS do
  local key, hash, position, left = unpack(ARGV, 4 * i - 6, 4 * i - 3)
  local claim = redis.call('GET', KEYS[i])
  local state, owner = string.match(claim or '', '^(%a+) %x+ ([^ ]+)')
  if state == 'taken' and owner ~= ARGV[1] then doubles = doubles + 1
  else redis.call('SET', KEYS[i], 'taken ' .. hash .. ' ' .. ARGV[1] .. ' ' .. position, 'PX', left) end
  redis.call('SREM', KEYS[1], key)
end
return doubles`
const RELEASE = `${OURS}
for i = 2, #KEYS do
  if ours(redis.call('GET', KEYS[i]), ARGV[1]) then redis.call('DEL', KEYS[i]) end
  redis.call('SREM', KEYS[1], ARGV[i])
end`

const CLAIM = /^(pending|taken) ([0-9a-f]+) (\S+)(?: (\d+))?$/

/** Keys of requests in one Redis, 2.6 or newer. A connection is made and kept until close(); loss is logged once. */
export class RedisKeys implements KeyServer {
  private readonly url: string
  private readonly log: Logger
  private readonly watching = new Set<() => void>()
  private client!: ReturnType<typeof open>
  private said: string | undefined       // why there is no connection
  private looked = false
  private closed = false

  /** Throws usage/command for what is no URL of Redis. */
  constructor (url: string, log: Logger) {
    if (!/^rediss?:\/\/[^/]/.test(url) || !URL.canParse(url) || !/^\/?\d*$/.test(new URL(url).pathname)) throw new MillraceError('usage/command', `--redis ${masked(url)} is not the URL of a Redis`, { help: 'redis://[user:password@]host[:port][/database], or rediss:// with TLS' })
    this.url = url
    this.log = log
    this.connect()
  }

  watch (reached: () => void): () => void {
    this.watching.add(reached)
    if (this.client.isReady) reached()
    return () => { this.watching.delete(reached) }
  }

  async join (space: string, owner: string, last: string | undefined, has: boolean): Promise<{ memory: string, pending: string[] }> {
    const at = names(space, owner), [memory, pending] = await this.script(JOIN, [at.memory, at.waiting, at.pending], [crypto.randomUUID(), last ?? '', has ? '1' : '0', String(WAITING)]) as [string, string[]]
    return { memory, pending: pending.map(hex => Buffer.from(hex, 'hex').toString('latin1')) }
  }

  async reserve (space: string, owner: string, memory: string, key: string, hash: string): Promise<Claim | 'reserved' | 'forgotten' | 'waiting'> {
    const at = names(space, owner), answer = await this.script(RESERVE, [at.memory, at.waiting, at.pending, at.key(key)], [memory, owner, hexOf(key), hash, String(DAY)]) as string
    if (answer === 'reserved' || answer === 'forgotten' || answer === 'waiting') return answer
    const [, state, of, by, position] = CLAIM.exec(answer) ?? []
    if (state === undefined) throw new Error(`redis: what stands under ${at.key(key)} is not ours: ${answer.slice(0, 100)}`)
    return { taken: state === 'taken', hash: of, owner: by, position: Number(position ?? 0) }
  }

  async take (space: string, owner: string, taken: readonly Taken[]): Promise<number> {
    const at = names(space, owner)
    return await this.script(TAKE, [at.pending, ...taken.map(t => at.key(t.key))], [owner, ...taken.flatMap(t => [hexOf(t.key), t.hash, String(t.position), String(t.left)])]) as number
  }

  async release (space: string, owner: string, keys: readonly string[]): Promise<void> {
    const at = names(space, owner)
    await this.script(RELEASE, [at.pending, ...keys.map(k => at.key(k))], [owner, ...keys.map(hexOf)])
  }

  close (): void {
    this.closed = true
    this.client.destroy()
  }

  /** Sent before this returns, so that calls take effect in their order. */
  private async script (text: string, keys: string[], args: string[]): Promise<unknown> {
    const { client } = this
    let late: NodeJS.Timeout | undefined
    const silence = new Promise<never>((_, reject) => { late = setTimeout(() => { reject(new Transient(`redis: no answer within ${PATIENCE} ms`)); this.renew(client) }, PATIENCE) })
    try {
      return await Promise.race([client.eval(text, { keys, arguments: args }), silence])
    } catch (error) {
      if (error instanceof Transient) throw error
      const { message } = error as Error
      if (!client.isReady) throw new Transient(`redis: ${message}`, { cause: error })
      this.log.warn({ err: message }, 'redis: it refuses what is asked of it')
      throw error
    } finally { clearTimeout(late) }
  }

  private connect (): void {
    const waits = backoff(FIRST, MOST), client = this.client = open(this.url, () => waits.next().value)
    client.on('error', (error: Error) => { if (client === this.client) this.lost(error.message) })
    client.on('ready', () => { if (client === this.client) this.reached() })
    client.connect().catch(() => {})         // only when it is closed meanwhile
  }

  /** A connection on which nobody answers is not kept; what waits on it fails at once. */
  private renew (client: RedisKeys['client']): void {
    if (client !== this.client || this.closed) return
    this.lost('it does not answer')
    client.destroy()
    this.connect()
  }

  private lost (why: string): void {
    if (this.closed || why === this.said) return
    this.said = why
    this.log.warn(`redis: ${masked(this.url)} is not reached, and tried again: ${why}`)
  }

  private reached (): void {
    if (this.said !== undefined) this.log.info('redis: reached again')
    this.said = undefined
    if (!this.looked) void this.look()
    for (const tell of this.watching) tell()
  }

  /** Says what makes this Redis forget keys, as far as it may be asked. */
  private async look (): Promise<void> {
    this.looked = true
    const info = await this.client.info().catch(() => ''), of = (name: string) => new RegExp(`^${name}:(\\S+)`, 'm').exec(info)?.[1]
    const policy = of('maxmemory_policy')
    if (policy !== undefined && policy !== 'noeviction' && of('maxmemory') !== '0') this.log.warn({ policy }, 'redis: it throws keys away when its memory is full (maxmemory-policy); a request that comes again under one of them may be taken twice. Set it to noeviction')
    if (of('aof_enabled') === '0') this.log.warn('redis: it has no append-only file and forgets keys when it is restarted; what comes again at another instance just then may be taken twice. Set appendonly to yes')
  }
}

function open (url: string, wait: () => number) {
  return createClient({ url, RESP: 2, name: 'millrace', disableOfflineQueue: true, commandsQueueMaxLength: QUEUE, pingInterval: 10_000, socket: { connectTimeout: 5000, reconnectStrategy: wait } })
}

const hexOf = (key: string): string => Buffer.from(key, 'latin1').toString('hex')
const names = (space: string, owner: string) => {
  const at = `{millrace}:keys:${space}`
  return { memory: `${at}:memory`, waiting: `${at}:waiting`, pending: `${at}:pending:${owner}`, key: (key: string) => `${at}:${hexOf(key)}` }
}
