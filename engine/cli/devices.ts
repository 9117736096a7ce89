import { existsSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import type { Command } from 'commander'
import { devicesOf, passwordDigest, writtenDevices, type Device } from '../credentials.ts'
import { MillraceError } from '../errors.ts'
import { Lock } from '../lock.ts'
import { randomText } from '../random-text.ts'
import { streams } from './program.ts'

interface Options { readonly file: string, readonly topics?: string[], readonly certificate?: boolean, readonly again?: boolean }

/** `millrace devices`: who may publish to the embedded broker, in the file that its option `credentials` names. */
export function devices (program: Command): void {
  const group = program.command('devices').description('devices that may publish to the embedded broker: add, remove, list')
  const command = (name: string, description: string) => group.command(name).description(description).requiredOption('--file <csv>', 'the file that `credentials` of the broker names')
  const read = (file: string): Map<string, Device> => existsSync(file) ? devicesOf(readFileSync(file, 'utf8'), file) : new Map()
  /** One change after the other; whoever could read the file still can. */
  const change = async (file: string, make: (all: Map<string, Device>) => void): Promise<void> => {
    const lock = await Lock.take(`${file}.lock`, { name: 'devices', code: 'usage/command', help: 'one change at a time' }, new AbortController().signal)
    try {
      const all = read(file)
      make(all)
      const text = writtenDevices(all.values())
      devicesOf(text, file)            // what could not be read again is not written
      writeFileSync(`${file}.new`, text, { mode: existsSync(file) ? statSync(file).mode & 0o777 : 0o600 })
      renameSync(`${file}.new`, file)
    } finally { await lock.release() }
  }

  command('add', 'let a device in and print its password: it is shown this once')
    .argument('<username>', 'of the device; the common name of its certificate when it has one')
    .option('--topics <filter...>', 'where it may publish, as MQTT filters; without it <username>/#')
    .option('--certificate', 'no password: it has a certificate')
    .option('--again', 'the device is there already: it gets a new password, or other topics')
    .action(async (username: string, { file, topics, certificate, again }: Options) => {
      const password = certificate ? undefined : randomText(43)
      await change(file, all => {
        const before = all.get(username)
        if (before !== undefined && !again) throw new MillraceError('usage/command', `devices: "${username}" is in ${file} already`, { help: '--again gives it a new password' })
        all.set(username, { username, digest: password === undefined ? undefined : passwordDigest(password), topics: topics ?? before?.topics ?? [`${username}/#`] })
      })
      if (password !== undefined) streams(program).out(`${password}\n`)
    })
  command('remove', 'a second later the device is disconnected, and comes in no more').argument('<username>').action(async (username: string, { file }: Options) => {
    await change(file, all => { if (!all.delete(username)) throw new MillraceError('usage/command', `devices: there is no "${username}" in ${file}`) })
  })
  command('list', 'a line each: username, how it shows who it is, topics').action(({ file }: Options) => {
    for (const { username, digest, topics } of read(file).values()) streams(program).out(`${username}  ${digest === undefined ? 'certificate' : 'password'}  ${topics.join(' ')}\n`)
  })
}
