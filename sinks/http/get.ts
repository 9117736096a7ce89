import http from 'node:http'
import https from 'node:https'
import { Guard } from './guard.ts'

const MOST = 65_536, TIMEOUT = 5000  // bytes of the answer, ms

/** What is at a URL, as JSON: where `guard` lets it, without redirects, at most 64 KiB within 5 s. Rejects saying what is wrong, naming no more of the URL than its origin. */
export async function getJson (text: string, egress: readonly string[]): Promise<unknown> {
  const url = new URL(text), guard = new Guard(egress)
  guard.check(url)
  const bytes = await new Promise<string>((resolve, reject) => {
    const fail = (error: Error) => { reject(new Error(`${url.origin}: ${error.message}`, { cause: error })) }
    const request = (url.protocol === 'https:' ? https : http).get(url, { lookup: guard.lookup(url) as never, agent: false, signal: AbortSignal.timeout(TIMEOUT), headers: { accept: 'application/json', 'user-agent': 'Millrace' } }, response => {
      let body = ''
      if (response.statusCode !== 200) return void request.destroy(new Error(`it answered ${response.statusCode}`))
      response.setEncoding('utf8').on('data', (chunk: string) => { if ((body += chunk).length > MOST) request.destroy(new Error(`its answer is larger than ${MOST} bytes`)) }).on('end', () => { resolve(body) }).on('error', fail)
    }).on('error', fail)
  })
  try { return JSON.parse(bytes) } catch { throw new Error(`${url.origin}: its answer is not JSON`) }
}
