import { writeFileSync } from 'node:fs'
import type { Command } from 'commander'
import type { Parts } from '../components.ts'
import { MillraceError } from '../errors.ts'
import { openLog, type LogOptions } from '../log.ts'
import { duration, span } from '../options.ts'
import { streams } from './program.ts'
import { stopSignal } from './work.ts'

interface Options {
  readonly url: string, readonly topic: string, readonly qos: string, readonly devices: string, readonly metrics?: string, readonly every?: string, readonly rate?: string
  readonly for?: string, readonly speed: string, readonly seed: string, readonly tenant: string, readonly prefix: string, readonly fault?: readonly string[], readonly rates?: string
  readonly labels?: string, readonly json?: boolean, readonly logLevel?: string, readonly logFormat?: LogOptions['format']
}

/** `millrace simulate`: a simulated fleet, published over MQTT. */
export function simulate (program: Command, parts: Parts): void {
  program.command('simulate')
    .description('publish a simulated fleet of devices over MQTT, with faults and their labels')
    .option('--url <url>', 'the broker', 'mqtt://localhost:1883')
    .option('--topic <template>', 'topic of a reading', '{tenant}/{device}/{metric}')
    .option('--qos <0|1>', 'quality of service', '1')
    .option('--devices <n>', 'how many devices', '10')
    .option('--metrics <list>', 'what each measures, such as temperature,vibration')
    .option('--every <span>', 'time between two readings of a metric, such as 100ms')
    .option('--rate <n>', 'readings per second of the whole fleet, instead of --every')
    .option('--for <span>', 'how long; without it until Ctrl-C')
    .option('--speed <multiple|max>', 'multiple of real time', '1')
    .option('--seed <n>', 'the same seed gives the same values', '1')
    .option('--tenant <name>', 'tenant of the devices', 'default')
    .option('--prefix <name>', 'devices are called <name>-1, <name>-2 and so on', 'device')
    .option('--fault <fault...>', 'plant a fault: device[/metric]:kind@after+length[=size], such as device-1/temperature:shift@8s+20s=40')
    .option('--rates <list>', 'random faults per device and week, such as spike=5,drift=0.5')
    .option('--labels <file>', 'write the faults that were published, as JSON')
    .option('--json', 'print the counts as JSON')
    .action(async (given: Options) => {
      const log = openLog({ level: given.logLevel, format: given.logFormat })
      const stop = stopSignal(log)
      const away = new AbortController()
      const fleet = await parts.publishFleet({ ...fleetOf(given), log, signal: AbortSignal.any([stop.signal, away.signal]) })
      const waited = given.for === undefined ? undefined : setTimeout(() => { if (!fleet.connected && fleet.published === 0) away.abort() }, duration(given.for) + AWAY)
      await fleet.done
      clearTimeout(waited)
      if (away.signal.aborted) throw new MillraceError('source/unreachable', `the broker ${new URL(given.url).host} was not there for ${given.for} and ${span(AWAY)} more`)
      const { published, acknowledged } = fleet
      if (given.labels !== undefined) writeFileSync(given.labels, `${JSON.stringify(fleet.labels(), null, 2)}\n`)
      streams(program).out(given.json ? `${JSON.stringify({ published, acknowledged })}\n` : `${published} readings published, ${acknowledged} acknowledged\n`)
      process.exitCode = stop.code()
    })
}

const AWAY = 10_000                  // ms that a broker may take to be there, when the time is limited

/** Options of the command as those of the publisher, which checks them. */
export function fleetOf ({ url, topic, qos, devices, metrics, every, rate, for: lasts, speed, seed, tenant, prefix, fault = [], rates }: Options) {
  return {
    url, topic, tenant, prefix,
    qos: Number(qos), devices: Number(devices), seed: Number(seed), speed: speed === 'max' ? speed : Number(speed),
    ...metrics === undefined ? {} : { metrics: metrics.split(',') },
    ...every === undefined ? {} : { every },
    ...rate === undefined ? {} : { rate: Number(rate) },
    ...lasts === undefined ? {} : { for: lasts },
    ...rates === undefined ? {} : { rates: Object.fromEntries(rates.split(',').map(pair => { const [kind, n] = pair.split('='); return [kind, Number(n)] })) },
    faults: fault.map(faultOf)
  }
}

function faultOf (text: string) {
  const [, device, metric, kind, at, lasts, size] = /^([^/:]+)(?:\/([^:]+))?:([a-z]+)@([^+]+)\+([^=]+)(?:=(-?[\d.]+))?$/.exec(text) ?? []
  if (kind === undefined) throw new MillraceError('usage/command', `--fault "${text}" is not a fault`, { help: 'write device[/metric]:kind@after+length[=size], such as device-1/temperature:shift@8s+20s=40' })
  return { device, kind, at, for: lasts, ...metric === undefined ? {} : { metric }, ...size === undefined ? {} : { size: Number(size) } }
}
