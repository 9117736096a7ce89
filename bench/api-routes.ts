/** Which routes the benchmark of the API asks, and with what: all that only read and end, from the OpenAPI document of the process itself, and three questions on demand. */

/** `every`: seconds between two of a client, when it may not take its turn. */
export interface Route { readonly name: string, readonly url: (now: number) => string, readonly body?: object, readonly every?: number }
/** What is there: a position of the log, an incident, a job. */
export interface There { readonly position: number, readonly incident: string, readonly job: string }

const MINUTE = 60_000, LIMIT = 100
const LASTING = ['/api/v1/tables/{table}/export', '/api/v1/stream']        // taken away (two at once) or listened to: no questions
const narrowed = ['/api/v1/reports'], ONE = ['device', 'metric']           // asked of one device, where nothing requires it
const wave = (n: number) => Array.from({ length: n }, (_, i) => Math.sin(i / 12) + (i * 7919 % 101) / 300)

const asked: readonly Route[] = [
  { name: 'POST /api/v1/predict', url: () => '/api/v1/predict', body: { data: { value: wave(200) }, options: { every: '1s', seasons: ['75s'] } } },
  { name: 'POST /api/v1/detect_anomaly', url: () => '/api/v1/detect_anomaly', body: { data: { value: wave(500) } } },
  { name: 'POST /api/v1/check_drift', url: () => '/api/v1/check_drift', body: { data: { value: wave(1500) } }, every: 7.5 }      // 500 are the reference, the others are compared
]

/** Throws when a route wants a parameter that nothing is known for: then it is to be added here. */
export function routesOf (document: { readonly paths: Readonly<Record<string, any>> }, { position, incident, job }: There): Route[] {
  const read = Object.entries(document.paths).filter(([path, { get }]) => get?.security !== undefined && !LASTING.includes(path))
  return [...read.map(([path, { get }]): Route => {
    const url = (now: number) => {
      const known: Readonly<Record<string, string | number | undefined>> = { table: 'readings', name: 'api', device: 'd7', metric: 'm', version: 1, position, incident, id: job, limit: LIMIT, buckets: 60, from: new Date(now - MINUTE).toISOString(), to: new Date(now).toISOString() }
      const query = new URLSearchParams()
      let filled = path
      for (const { name, in: place, required } of get.parameters ?? []) {
        if (required === true && known[name] === undefined) throw new Error(`GET ${path} wants ${name as string}`)
        if (place === 'path') filled = filled.replace(`{${name as string}}`, encodeURIComponent(String(known[name])))
        else if (place === 'query' && (required === true || !ONE.includes(name) || narrowed.includes(path)) && known[name] !== undefined) query.set(name, String(known[name]))
      }
      return query.size === 0 ? filled : `${filled}?${String(query)}`
    }
    return { name: `GET ${path}`, url }
  }), ...asked]
}
