import type { ConsumerConfig, JetStreamManager, StreamInfo } from '@nats-io/jetstream'
import type { Msg, NatsConnection } from '@nats-io/transport-node'
import { backoff, defineSource, gather, Intake, masked, MillraceError, sleep, Type, type Position, type Source } from '#engine'
import { codecFault, codecOptions, makeDecoder } from './codec/json.ts'
import { filtersOf, templateFault, Topics } from './codec/topic.ts'
import { Gaps } from './jetstream-gaps.ts'
import type { Place, Puller } from './jetstream-pull.ts'
import { linkFault, linkOptions, linkSettings } from './nats-link.ts'
import { advice, isStream, originOf, siftedBy } from './jetstream-stream.ts'

const MESSAGES = 5000                // of one request
const NANOS = 1e6                    // of a millisecond
const STEP = 1000                    // ms that the server's clock may have been set back
const OURS = 'Millrace: shows how far a pipeline is behind'

/**
 * A stream of JetStream, read from a position: that is the stream's sequence, so the stream is the log and there is no second copy.
 * Each start, and each new connection, makes a consumer of its own that begins after the last message read; nothing depends on
 * acknowledgements. What is no longer there is never passed over in silence: a stream that was lost or made anew stops the pipeline
 * (`onStreamReset`), messages that retention or a delete took before they were read are counted (`record_lost`) and logged.
 * The ingest time is the server's timestamp of the message, so a second reading gives the same.
 * While the engine has no room nothing is asked for; at most one request is under way, of an eighth of the room or one message of the largest size.
 */
export const jetstream = defineSource({
  name: 'jetstream',
  summary: 'Messages of a JetStream stream, decoded from JSON: kept by the server, read again after a crash.',
  options: Type.Object({
    ...linkOptions,
    stream: Type.String({ description: 'Name of the stream.', pattern: '^[^\\s.*>/\\\\]+$' }),
    subject: Type.Union([Type.String({ minLength: 1 }), Type.Array(Type.String({ minLength: 1 }), { minItems: 1 })], { description: 'Subject templates: names such as {device} stand for one token, percent-encoded where it has other characters than letters, digits, _ and -. Other messages of the stream are not read.', default: 'telemetry.{tenant}.{device}.{metric}' }),
    onStreamReset: Type.Unsafe<'stop' | 'restart' | 'continue'>({ type: 'string', enum: ['stop', 'restart', 'continue'], description: 'When the stream was lost or made anew: stop with an error, read the new one from its first message, or only what comes from now on.', default: 'stop' }),
    durable: Type.Optional(Type.String({ description: 'Name of a durable consumer that shows how far the commits are: made anew at every start, and of no use for anything else.', pattern: '^[^\\s.*>/\\\\]+$' })),
    ...codecOptions
  }),
  check (options) {
    return linkFault(options) ?? [options.subject].flat().map(s => templateFault(s, '.')).find(fault => fault !== undefined) ?? codecFault(options)
  },
  reaches: ({ servers }) => [servers].flat(),

  open (options, host): Source {
    const { stream, durable } = options
    const gaps = new Gaps(stream, host.log)
    let servers: readonly string[] = [options.servers].flat()
    let trouble: string | undefined = 'jetstream is not connected yet'
    let connection: NatsConnection | undefined
    const before = isStream(host.origin) ? host : undefined        // it has read a stream
    let origin = before?.origin, restarted = false
    let stored = NaN                           // when the server stored the last message read, ms
    let time = NaN, runs: number | undefined   // the same, and how long nothing newer was there; since when, on the monotonic clock
    let committed: Position = -1, wake = () => {}
    const acks: { readonly seq: number, readonly message: Msg }[] = []
    const now = () => Number.isNaN(time) ? host.now() : runs === undefined ? time : time + performance.now() - runs
    const hold = () => {
      if (runs !== undefined) time = now()
      runs = undefined
    }
    return {
      now,
      origin: () => origin,
      trouble: () => trouble,
      events: () => ({ record_lost: gaps.messages }),
      restarted () {
        const was = restarted
        restarted = false
        return was
      },
      async commit (upTo) {
        committed = upTo
        let last: Msg | undefined
        while (acks.length > 0 && acks[0].seq <= upTo) last = acks.shift()!.message
        if (last !== undefined && connection?.isClosed() === false) last.respond('+ACK')
        wake()
      },
      async close () {
        await gaps.explain().catch(() => {})
        await connection?.drain().catch(() => {})
      },
      open (from: Position | undefined, credits, signal) {
        const intake = new Intake(host.series, credits, { ahead: host.ahead, after: from ?? 0 })
        const topics = new Topics([options.subject].flat(), host.series, { tenant: options.tenant, separator: '.', encoded: true })
        const decode = makeDecoder(options, topics, host.series, intake)
        const filters = filtersOf([options.subject].flat(), '.')
        return gather(intake, credits, signal, now, gathering => {
          const stop = new AbortController()
          const said = new Set<string>()
          let read: Position | undefined = from        // of the last message read
          let begun = before !== undefined || (from ?? 0) > 0      // what went before the first run is not missing
          let reached = before?.committed ?? 0         // what the stream must have
          let pushed: Position | undefined             // of the last one put into the intake
          let puller: Puller | undefined
          let sifted = false                           // the server leaves out what is not ours
          const once = (text: string | undefined) => {
            if (text !== undefined && !said.has(text)) host.log.warn(`jetstream: ${text}`)
            said.add(text ?? '')
          }
          const woken = (ask: (go: () => void) => void) => new Promise<void>(resolve => { wake = resolve; ask(resolve) })

          const take = (message: Msg, place: Place) => {
            if (stop.signal.aborted || place.seq <= read!) return
            const known = Math.max(read!, reached)       // what is stored is not lost
            if (place.seq > known + 1) gaps.jump(known, place.seq)
            read = place.seq
            time = stored = place.time
            runs = place.pending === 0 ? performance.now() : undefined
            if (!sifted && !topics.fits(message.subject)) return
            pushed = read
            if (durable !== undefined) acks.push({ seq: read, message })
            decode(message.subject, message.data, stored, message.headers?.get(options.timeProperty) || undefined, read)
            gathering.pushed()
          }

          /**
           * Whether the last message read is another one now; of one that was read before this start: whether what stands there came
           * after it was committed. What may not be asked for, or is not there any more, is none.
           */
          const isOther = async (jsm: JetStreamManager) => {
            const fresh = Number.isNaN(stored), seq = fresh ? reached : read!
            if (seq === 0 || fresh && host.committedAt === undefined) return false
            const kept = await jsm.streams.getMessage(stream, { seq }).catch(() => null)
            if (kept === null) return false
            const at = Date.parse(kept.timestamp)
            return fresh ? at > host.committedAt! + STEP : at !== Math.floor(stored)
          }

          /** Whether the stream is the one that the position counts in; where it is not, what the option says. */
          const check = async (info: StreamInfo, jsm: JetStreamManager) => {
            if (info.config.retention !== 'limits') throw new MillraceError('source/unsuitable', `jetstream: the stream ${stream} has ${info.config.retention} retention: messages are gone once somebody has acknowledged them`, { help: 'make it with limits retention, or a second stream with limits retention that has it as its source' })
            if (info.config.storage === 'memory') once(`the stream ${stream} is kept in memory: its server loses it when it stops`)
            if (info.config.subjects?.some(s => /^[*>]/.test(s))) once(`the stream ${stream} keeps ${info.config.subjects.join(', ')}, and with that the answers that clients get (_INBOX); give its subjects a first token of their own`)
            const found = originOf(stream, info.created), { first_seq, last_seq } = info.state
            const fault = origin !== undefined && origin !== found ? `was made anew: this is ${found}, the position ${read ?? 0} counts in ${origin}`
              : Math.max(read ?? 0, origin === undefined ? 0 : reached) > last_seq ? `ends at ${last_seq}, before the position ${Math.max(read ?? 0, reached)}: messages that were read are lost`
                : await isOther(jsm) ? `has another message at ${Number.isNaN(stored) ? reached : read} than was read: its end was lost and written anew` : undefined
            if (fault !== undefined) {
              while (pushed !== undefined && committed < pushed && !stop.signal.aborted) await woken(() => {})        // belongs to the old one
              if (stop.signal.aborted) return
              if (options.onStreamReset === 'stop') throw new MillraceError('source/stream-reset', `jetstream: the stream ${stream} ${fault}`, { help: 'say onStreamReset: restart (from its first message) or continue (what comes from now on)' })
              read = options.onStreamReset === 'restart' ? Math.max(0, first_seq - 1) : last_seq
              pushed = undefined
              committed = -1
              reached = 0
              restarted = true
              stored = NaN
              acks.length = 0
              gaps.forget()
              host.log.error(`jetstream: the stream ${stream} ${fault}; reading on after ${read} (onStreamReset: ${options.onStreamReset})`)
            }
            origin = found
            const begin = read ?? 0, known = Math.max(begin, reached)      // in memory, and stored
            if (begun && first_seq > known + 1) gaps.lost(first_seq - known - 1, known, first_seq)
            if (begin < Math.min(known, first_seq - 1)) host.log.error(`jetstream: messages ${begin + 1} to ${Math.min(known, first_seq - 1)} of ${stream} are not there any more: what was read of them is stored, but what steps remember of it cannot be worked out again`)
            read = Math.max(begin, first_seq - 1)
            begun = true
          }

          const makeConsumer = async (jsm: JetStreamManager, version: string): Promise<string> => {
            const filter = siftedBy(version, filters), config: Partial<ConsumerConfig> = { deliver_policy: 'by_start_sequence', opt_start_seq: read! + 1, ...filter }
            sifted = filter !== undefined
            if (durable === undefined) return (await jsm.consumers.add(stream, { ...config, ack_policy: 'none', inactive_threshold: 60_000 * NANOS, mem_storage: true, num_replicas: 1, description: `Millrace ${host.pipeline}` })).name
            const there = await jsm.consumers.info(stream, durable).catch(error => { if (error.message !== 'consumer not found') throw error })
            if (there !== undefined && there.config.description !== OURS) throw new MillraceError('source/unsuitable', `jetstream: the durable consumer ${durable} of the stream ${stream} is somebody else's`, { help: 'choose another name (durable)' })
            if (there !== undefined) await jsm.consumers.delete(stream, durable)
            acks.length = 0
            return (await jsm.consumers.add(stream, { ...config, durable_name: durable, ack_policy: 'all', ack_wait: 3_600_000 * NANOS, max_ack_pending: -1, description: OURS })).name
          }

          /** One connection: check the stream, make a consumer, read until something is lost. */
          const session = async () => {
            const [{ connect, jetstreamManager }, { Puller }] = await Promise.all([import('./nats-client.ts'), import('./jetstream-pull.ts')])
            const to = connection = await connect({ ...await linkSettings({ ...options, servers: [...servers] }, `millrace ${host.pipeline}`), reconnect: false })
            if (stop.signal.aborted) return to.close()
            void to.closed().then(() => {
              if (connection !== to || stop.signal.aborted) return
              trouble ??= `jetstream has lost the connection to ${to.getServer()}`
              hold()
            })
            const { version, max_payload, connect_urls = [] } = to.info!
            servers = [...new Set([...[options.servers].flat(), ...connect_urls])]
            once(advice(version))
            const jsm = await jetstreamManager(to, { checkAPI: false, timeout: 3000 })
            let info = await jsm.streams.info(stream)
            for (let i = 0; i < 10 && info.config.num_replicas > 1 && read !== undefined && read > info.state.last_seq; i++) {      // a new leader may not have all yet
              await sleep(1000, stop.signal)
              info = await jsm.streams.info(stream)
            }
            gaps.by(details => jsm.streams.info(stream, details ? { deleted_details: true } : {}))
            await check(info, jsm)
            if (stop.signal.aborted) return
            const consumer = await makeConsumer(jsm, version)
            if ((await jsm.streams.info(stream)).created !== info.created) throw new Error('the stream was made anew meanwhile')      // else the consumer may be of another stream than was checked
            puller = new Puller(to, stream, consumer, take, () => { runs ??= performance.now() })
            trouble = undefined
            host.log.info({ server: to.getServer(), stream, after: read }, 'jetstream: reading')
            while (!stop.signal.aborted) {
              while (!credits.open && !stop.signal.aborted) {
                hold()
                await woken(go => credits.next(go))
              }
              await puller.pull(MESSAGES, Math.max(2 * max_payload, Math.ceil(credits.limit / 8)))
              if (gaps.open > MESSAGES) await gaps.explain()
            }
          }

          const work = async () => {
            let waits = backoff(100, 2000)
            while (!stop.signal.aborted) {
              const before = read
              try {
                await session()
              } catch (error) {
                if (error instanceof MillraceError) throw error
                if (stop.signal.aborted) return
                trouble = `jetstream cannot read ${stream} at ${[options.servers].flat().map(masked).join(', ')}: ${(error as Error).message}`
                host.log.warn(`${trouble}; trying again`)
                hold()
                puller?.close()
                await connection?.close()
              }
              if (read !== before) waits = backoff(100, 2000)
              await sleep(waits.next().value, stop.signal)
            }
          }
          work().catch(error => gathering.fail(error))
          return () => {
            stop.abort()
            puller?.close()
            wake()
          }
        })
      }
    }
  }
})
