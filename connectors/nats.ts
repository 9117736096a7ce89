import type { Msg, NatsConnection, NodeConnectionOptions, Subscription } from '@nats-io/transport-node'
import { backoff, defineSource, masked, sleep, Type, type Listener, type Message } from '#engine'
import { codecFault, codecOptions, makeDecoder } from './codec/json.ts'
import { filtersOf, templateFault, Topics } from './codec/topic.ts'
import { linkFault, linkOptions, linkSettings } from './nats-link.ts'

/**
 * Core NATS subjects. A message is promised from the moment the log has it: core NATS keeps nothing, so what is published
 * while nobody listens is lost; every such time is logged with its length. Core NATS cannot be paused either: while the log has
 * no room the subscriptions are given up; in a queue group the other members then get the messages. Connects for ever, with a back-off of its own.
 */
export const nats = defineSource({
  name: 'nats',
  summary: 'Messages of core NATS subjects, decoded from JSON.',
  options: Type.Object({
    ...linkOptions,
    subject: Type.Union([Type.String({ minLength: 1 }), Type.Array(Type.String({ minLength: 1 }), { minItems: 1 })], { description: 'Subject templates: names such as {device} stand for one token.', default: '{tenant}.{device}.{metric}' }),
    queue: Type.Optional(Type.String({ description: 'Queue group: its members share the messages between them.', minLength: 1 })),
    ...codecOptions
  }),
  check (options) {
    return linkFault(options) ?? [options.subject].flat().map(s => templateFault(s, '.')).find(fault => fault !== undefined) ?? codecFault(options)
  },
  reaches: ({ servers }) => [servers].flat(),
  shares: ({ queue }) => queue !== undefined,
  tuning: ['user', 'password', 'token', 'credentials', 'tls'],

  decode: (options, series, intake) => makeDecoder(options, new Topics([options.subject].flat(), series, { tenant: options.tenant, separator: '.' }), series, intake),

  listen (options, host): Listener {
    const servers = [options.servers].flat().map(masked)
    const filters = filtersOf([options.subject].flat(), '.')
    let trouble: string | undefined = 'nats is not connected yet'
    const stop = new AbortController()
    let connection: NatsConnection | undefined
    let subscriptions: Subscription[] = []
    const held: Message[] = []         // came while there was no room, before the server had heard that we left
    let again = backoff(100, 5000), wait = again.next().value       // between the tries of a connection that was lost
    let deafSince: number | undefined        // not listening since; before the first connection nothing is missed

    const deaf = (why: string) => {
      trouble = `nats ${why}`
      host.listening(false)
      deafSince ??= host.now()
      host.log.error({ servers }, `nats: ${why}; messages published from now on are lost${options.queue === undefined ? '' : ' unless another member of the queue group takes them'}`)
    }
    const listening = () => {
      trouble = undefined
      host.listening(true)
      if (deafSince !== undefined) host.log.error({ servers, ms: Math.round(host.now() - deafSince) }, `nats: listening again; messages of the last ${((host.now() - deafSince) / 1000).toFixed(1)} s are lost`)
      deafSince = undefined
    }
    const receive = (error: Error | null, message: Msg) => {
      if (error !== null) {
        deaf(`refuses the subscription: ${error.message}`)
        void connection?.close()
        return
      }
      const heard: Message = { topic: message.subject, payload: message.data, stamp: message.headers?.get(options.timeProperty) || undefined }
      if (held.length === 0 && host.append(heard) !== undefined) return
      held.push(heard)
      if (subscriptions.length > 0) giveUp()
    }
    const leave = () => {
      for (const subscription of subscriptions) subscription.unsubscribe()
      subscriptions = []
    }
    const giveUp = () => {
      leave()
      deaf('source has unsubscribed: the log has no room')
      const back = () => {
        while (held.length > 0 && host.append(held[0]) !== undefined) held.shift()
        if (held.length > 0) host.room(back)
        else if (!stop.signal.aborted && connection?.isClosed() === false) subscribe(connection)
      }
      host.room(back)
    }
    const subscribe = (to: NatsConnection) => {
      const mine = subscriptions = filters.map(filter => to.subscribe(filter, { callback: receive, ...options.queue === undefined ? {} : { queue: options.queue } }))
      // heard by the server when it has answered what was sent after them; a refusal comes before that
      to.flush().then(() => { if (subscriptions === mine && !to.isClosed()) listening() }, () => {})
    }

    const work = async () => {
      const { connect } = await import('./nats-client.ts')
      let waits = backoff()
      while (!stop.signal.aborted) {
        try {
          connection = await connect(await settings())
          if (stop.signal.aborted) break
          subscribe(connection)
          host.log.info({ server: connection.getServer() }, 'nats: connected')
          void watch(connection)
          const since = host.now()
          const error = await connection.closed()
          if (host.now() - since > 10_000) waits = backoff()
          if (!stop.signal.aborted && deafSince === undefined) deaf(`has closed the connection${error ? `: ${error.message}` : ''}`)
        } catch (error) {
          if (stop.signal.aborted) break
          trouble = `nats at ${servers.join(', ')} cannot be reached: ${(error as Error).message}`
          host.log.warn(`${trouble}; trying again`)
        }
        await sleep(waits.next().value, stop.signal)
      }
      await connection?.close()
    }
    const watch = async (connection: NatsConnection) => {
      for await (const status of connection.status()) {
        if (stop.signal.aborted) return
        if (status.type === 'disconnect') deaf(`at ${status.server} is gone`)
        else if (status.type === 'reconnecting') wait = again.next().value
        else if (status.type === 'reconnect') {
          again = backoff(100, 5000)
          wait = again.next().value
          if (subscriptions.length > 0) listening()
        }
        else if (status.type === 'error') host.log.warn({ err: status.error.message }, 'nats: error')
      }
    }
    const settings = async (): Promise<NodeConnectionOptions> => ({
      ...await linkSettings(options, host.name), maxReconnectAttempts: -1, ignoreAuthErrorAbort: true,
      reconnectDelayHandler: () => wait        // asked several times for each try
    })
    work().catch(error => host.fail(error))
    return {
      trouble: () => trouble,
      durable () {},
      lost () {},
      stop () { stop.abort(); leave() },
      async close () { stop.abort(); await connection?.close() }
    }
  }
})
