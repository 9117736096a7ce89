import { readFileSync, statSync } from 'node:fs'
import { createSecureContext, TLSSocket, type SecureContextOptions, type TlsOptions } from 'node:tls'
import { MillraceError } from './errors.ts'
import type { Logger } from './log.ts'

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

const LOOK = 1000                    // ms between looks at the files

/**
 * Gives a server the files again when one of them is another: connections that begin then have the new certificate, those that are
 * there go on. Files that do not fit each other, as while they are copied, are said once and change nothing. Returns how to stop.
 */
export function renewing (files: TlsFiles, server: { setSecureContext (options: SecureContextOptions): void }, log: Pick<Logger, 'info' | 'warn'>): () => void {
  const stampOf = (): string => [files.cert, files.key, files.ca].map(file => {
    try { const { mtimeMs, size, ino } = statSync(file ?? ''); return `${mtimeMs} ${size} ${ino}` } catch { return '' }
  }).join()
  let stamp = stampOf()
  const timer = setInterval(() => {
    const now = stampOf()
    if (now === stamp) return
    stamp = now
    try {
      server.setSecureContext(keyPair(files))
      log.info({ cert: files.cert }, 'the certificate was read anew')
    } catch (error) { log.warn({ err: (error as Error).message }, 'the certificate stays what it was') }
  }, LOOK).unref()
  return () => { clearInterval(timer) }
}

/** The common name of the certificate of a client, when it has shown one that was signed by `ca`. */
export function certifiedName (socket: unknown): string | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined
  const name = socket.getPeerCertificate().subject?.CN
  return typeof name === 'string' ? name : undefined
}
