/** Every error a user can meet: what it means, its HTTP status and the exit code of the program. `docs/reference/errors.md` is generated from this. */
export const errors = {
  'config/syntax': { title: 'The file is not valid YAML.', status: 400, exit: 78 },
  'config/too-large': { title: 'A file larger than a pipeline can be.', status: 413, exit: 78 },
  'config/duplicate-key': { title: 'A key that stands twice in the same map.', status: 400, exit: 78 },
  'config/unknown-key': { title: 'A key or option that does not exist.', status: 400, exit: 78 },
  'config/missing': { title: 'A required key or option is not there.', status: 400, exit: 78 },
  'config/invalid': { title: 'A value of the wrong type or outside its range.', status: 400, exit: 78 },
  'config/unknown-component': { title: 'A source, operator or sink that does not exist.', status: 400, exit: 78 },
  'config/unknown-column': { title: 'A column that no step before has added.', status: 400, exit: 78 },
  'config/duplicate-step': { title: 'Two steps of a branch have the same id.', status: 400, exit: 78 },
  'config/duplicate-alert': { title: 'Two alerts of a pipeline have the same name.', status: 400, exit: 78 },
  'config/duplicate-receiver': { title: 'Two receivers of an alert are the same.', status: 400, exit: 78 },
  'config/duplicate-column': { title: 'Two steps of a branch add the same column.', status: 400, exit: 78 },
  'config/order': { title: 'Steps in an order that cannot give a right answer.', status: 400, exit: 78 },
  'config/environment': { title: 'An environment variable that the file needs is not set.', status: 400, exit: 78 },
  'config/store': { title: 'The sinks of a pipeline do not agree on one store.', status: 400, exit: 78 },
  'config/sink': { title: 'A sink where it cannot stand: one that takes no rows, or no alerts.', status: 400, exit: 78 },
  'config/shared': { title: 'Steps with memory behind a source that gives each reader only a part of a device.', status: 400, exit: 78 },
  'config/no-output': { title: 'Steps whose results go nowhere.', status: 400, exit: 78 },
  'config/time': { title: 'Times that do not fit together.', status: 400, exit: 78 },
  'config/test': { title: 'A test of a pipeline that cannot be read.', status: 400, exit: 78 },
  'config/exposed': { title: 'A listener without TLS or credentials on more than loopback.', status: 400, exit: 78 },
  'config/weak-secret': { title: 'A secret that is empty, short or tried first, on more than loopback.', status: 400, exit: 78 },
  'config/host': { title: 'A host that pipelines put over HTTP may not connect to.', status: 400, exit: 78 },
  'usage/command': { title: 'A command that was called wrongly.', status: 400, exit: 2 },
  'usage/labels': { title: 'Labels that cannot be read, or do not belong to the data.', status: 400, exit: 2 },
  'usage/file': { title: 'A file that cannot be read.', status: 404, exit: 2 },
  'source/unreachable': { title: 'A broker or server that a source reads cannot be reached.', status: 503, exit: 69 },
  'source/refused': { title: 'A broker refuses what a source asks for.', status: 502, exit: 1 },
  'source/listen': { title: 'A port that a source cannot listen on.', status: 500, exit: 69 },
  'source/stream-reset': { title: 'The stream that a position counts in was lost, made anew or cut off.', status: 409, exit: 1 },
  'source/unsuitable': { title: 'A stream or consumer that a source cannot use without losing messages.', status: 409, exit: 78 },
  'store/unreachable': { title: 'The database cannot be reached.', status: 503, exit: 69 },
  'store/unsupported': { title: 'A database or extension in a version that Millrace does not work with.', status: 500, exit: 78 },
  'store/migration': { title: 'A migration was changed after it had been applied, or failed.', status: 500, exit: 1 },
  'store/fenced': { title: 'Another process has taken over this pipeline.', status: 409, exit: 9 },
  'store/failed': { title: 'The store refused a commit.', status: 500, exit: 1 },
  'store/locked': { title: 'Another running process uses this local store.', status: 409, exit: 1 },
  'store/damaged': { title: 'A file of a local store is not as it was written.', status: 500, exit: 1 },
  'log/locked': { title: 'Another running process uses this write-ahead log.', status: 409, exit: 1 },
  'log/damaged': { title: 'A file of a write-ahead log is not as it was written.', status: 500, exit: 1 },
  'log/newer': { title: 'Records that a newer program has written.', status: 500, exit: 78 },
  'log/dropped': { title: 'A place in a write-ahead log that is not there any more.', status: 410, exit: 1 },
  'log/missing': { title: 'The log or stream that a pipeline had read is not there any more.', status: 410, exit: 1 },
  'log/full': { title: 'The disk of a write-ahead log is full.', status: 507, exit: 69 },
  'log/failed': { title: 'A write-ahead log cannot be made durable.', status: 500, exit: 1 },
  'log/too-large': { title: 'A record larger than a write-ahead log takes.', status: 413, exit: 1 },
  'sink/failed': { title: 'A sink cannot take what it is given.', status: 502, exit: 1 },
  'engine/operator': { title: 'An operator threw: a bug, in it or in its options.', status: 500, exit: 1 },
  'engine/poison': { title: 'An operator threw on one reading after the other.', status: 500, exit: 1 },
  'engine/changed': { title: 'A step has other options than those its memory was kept under.', status: 409, exit: 78 },
  'engine/snapshot': { title: 'A snapshot that does not fit the operator it is for.', status: 500, exit: 1 },
  'pipeline/not-started': { title: 'A pipeline that could not be started; what ran before runs again.', status: 422, exit: 1 },
  'api/unauthorised': { title: 'No key, or one that is not valid.', status: 401, exit: 1 },
  'api/forbidden': { title: 'A key without the scope that is needed.', status: 403, exit: 1 },
  'api/not-found': { title: 'There is no such thing, or not for this key.', status: 404, exit: 1 },
  'api/conflict': { title: 'A request that does not go with how things stand.', status: 409, exit: 1 },
  'api/outdated': { title: 'A change of a version that is not the present one.', status: 412, exit: 1 },
  'api/invalid': { title: 'A request that cannot be meant.', status: 400, exit: 1 },
  'api/slow': { title: 'A request that did not come in time, or hardly comes.', status: 408, exit: 1 },
  'api/long-head': { title: 'A request whose line and headers are longer than is taken.', status: 431, exit: 1 },
  'api/too-large': { title: 'A request larger than is taken.', status: 413, exit: 1 },
  'api/media-type': { title: 'A request in a form that is not read.', status: 415, exit: 1 },
  'api/key-used': { title: 'An Idempotency-Key under which another request came before.', status: 422, exit: 1 },
  'api/key-pending': { title: 'An Idempotency-Key under which a request is being taken: try again soon.', status: 409, exit: 1 },
  'api/busy': { title: 'What cannot be taken now: try again later.', status: 503, exit: 69 },
  'api/too-many': { title: 'More than one may send, try, or have under way: come back later.', status: 429, exit: 1 },
  'api/quota': { title: 'More of something than may be there at once.', status: 409, exit: 1 },
  'api/too-long': { title: 'A question that the database did not answer in time.', status: 504, exit: 1 },
  'api/failed': { title: 'A fault of the server.', status: 500, exit: 1 },
  'test/failed': { title: 'Tests of a pipeline did not give what they expect.', status: 422, exit: 1 }
} as const
export type Code = keyof typeof errors

/** An error with a code from the table. `detail` names the component, the option, the value; `help` says what would be right. */
export class MillraceError extends Error {
  override readonly name = 'MillraceError'
  readonly code: Code
  readonly help: string | undefined
  constructor (code: Code, detail: string, { help, cause }: { help?: string | undefined, cause?: unknown } = {}) {
    super(detail, cause === undefined ? {} : { cause })
    this.code = code
    this.help = help
  }
  get exit (): number { return errors[this.code].exit }
  get status (): number { return errors[this.code].status }
}

/** What a component throws when trying the same again may work: the engine keeps the batch and tries again. */
export class Transient extends Error {
  override readonly name = 'Transient'
  readonly after: number | undefined         // ms to wait at least, when the other side says so
  constructor (message: string, { after, cause }: { after?: number | undefined, cause?: unknown } = {}) {
    super(message, cause === undefined ? {} : { cause })
    this.after = after
  }
}

/** What a receiver of alerts throws when the other side says that it is not there any more: nothing is sent to it until somebody enables it again. */
export class Gone extends MillraceError {
  constructor (message: string) { super('sink/failed', message, { help: 'take the receiver out of the pipeline, or enable it again' }) }
}

/** Why a reading or a message became a dead letter. The keys are the `reason` label of metrics and the column of the table. */
export const reasons = {
  unparseable: 'The payload is not JSON.',
  wrong_shape: 'JSON, but none of the shapes that the codec reads.',
  not_a_number: 'A value that is text or an object where a number or boolean belongs.',
  not_finite: 'A number too large for a double, such as 1e999.',
  unsafe_integer: 'An integer beyond 2^53, which a double would change.',
  too_deep: 'JSON nested deeper than 32.',
  too_large: 'A payload over the size limit.',
  topic_mismatch: 'A topic that no template of the source matches.',
  not_allowed: 'A topic in which the device has no right to publish.',
  bad_name: 'A tenant, device or metric name that is missing, empty, too long, or has NUL or a lone surrogate in it.',
  forbidden_key: 'A key such as __proto__.',
  bad_time: 'A timestamp that is none, or outside the years 1970 to 9999.',
  future: 'A timestamp further ahead of its arrival than `ahead` allows.',
  series_limit: 'A new series when `maxSeries` are known already.',
  beyond_retention: 'Older than the table keeps: it would be dropped as soon as it is stored.',
  rejected_by_store: 'The database refused this row.',
  operator_failed: 'An operator threw on this reading.'
} as const
export type Reason = keyof typeof reasons
