import { readFileSync } from 'node:fs'
import { createSecureContext, TLSSocket, type TlsOptions } from 'node:tls'
import { MillraceError } from './errors.ts'

/** PEM files: certificate and private key of a server; who signs certificates of clients. */
export interface TlsFiles { readonly cert: string, readonly key: string, readonly ca?: string | undefined }

/** What a server needs of them. Throws usage/file or config/invalid with the file and what is wrong. */
export function keyPair ({ cert, key, ca }: TlsFiles): TlsOptions {
  const read = (name: string, file: string): Buffer => {
    try { return readFileSync(file) } catch (cause) { throw new MillraceError('usage/file', `tls.${name}: ${file} cannot be read: ${(cause as Error).message}`, { help: 'a PEM file', cause }) }
  }
  const options: TlsOptions = { cert: read('cert', cert), key: read('key', key), minVersion: 'TLSv1.2', ...ca === undefined ? {} : { ca: read('ca', ca), requestCert: true, rejectUnauthorized: false } }
  try { createSecureContext(options) } catch (cause) { throw new MillraceError('config/invalid', `tls: ${cert} and ${key} are no certificate and its key: ${(cause as Error).message}`, { help: 'two PEM files that belong together', cause }) }
  return options
}

/** The common name of the certificate of a client, when it has shown one that was signed by `ca`. */
export function certifiedName (socket: unknown): string | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined
  const name = socket.getPeerCertificate().subject?.CN
  return typeof name === 'string' ? name : undefined
}
