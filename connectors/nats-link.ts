import { readFile } from 'node:fs/promises'
import type { NodeConnectionOptions } from '@nats-io/transport-node'
import { File, namesUser, Type, type Values } from '#engine'

const text = (description: string) => Type.Optional(Type.String({ description, minLength: 1 }))
const file = (description: string) => Type.Optional(File({ description, minLength: 1 }))

/** How to reach a NATS server: the same for all sources that do. */
export const linkOptions = {
  servers: Type.Union([Type.String({ minLength: 1 }), Type.Array(Type.String({ minLength: 1 }), { minItems: 1 })], { description: 'One or several servers of a cluster.', default: 'nats://localhost:4222' }),
  user: text('User name.'),
  password: text('Password of the user.'),
  token: text('Token, instead of a user.'),
  credentials: file('File with a JWT and its key (.creds), instead of a user.'),
  tls: Type.Optional(Type.Object({ ca: file('File with the certificates to trust.'), cert: file('File with the own certificate.'), key: file('File with its key.') }, { description: 'TLS, also without any of its options.' }))
}
export type LinkOptions = Values<typeof linkOptions>

/** What is wrong with them, as a sentence. The client passes over a user in an address, and takes its password for the port when it is a number. */
export const linkFault = ({ servers }: Pick<LinkOptions, 'servers'>): string | undefined => [servers].flat().some(namesUser) ? 'servers has a user or password in it, which is not read; use the options user and password' : undefined

/** The options as the client wants them. Reads the credentials anew at every call. */
export async function linkSettings ({ servers, user, password, token, credentials, tls }: LinkOptions, name: string): Promise<NodeConnectionOptions> {
  return {
    servers: [servers].flat(), name, timeout: 5000, pingInterval: 20_000,
    ...user === undefined ? {} : { user },
    ...password === undefined ? {} : { pass: password },
    ...token === undefined ? {} : { token },
    ...credentials === undefined ? {} : { authenticator: (await import('./nats-client.ts')).credsAuthenticator(await readFile(credentials)) },
    ...tls === undefined ? {} : { tls: { ...tls.ca && { caFile: tls.ca }, ...tls.cert && { certFile: tls.cert }, ...tls.key && { keyFile: tls.key } } }
  }
}
