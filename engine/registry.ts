/** A pipeline as it is wanted: kept, so that whatever happens to a process, the next one makes it true. */
export interface Wanted {
  readonly name: string
  readonly instance: string          // of whom it is: see instance.ts
  readonly version: number
  readonly state: 'running' | 'paused' | 'deleted'
  /** A change whose effect is not known to be there yet. */
  readonly settled: boolean
  readonly previous: number | null   // the version that ran before an unsettled change
  readonly definition: string        // of the version, YAML as it was sent
}
export interface Version {
  readonly version: number
  readonly author: string            // id of a key
  readonly created: Date
  readonly restores: number | null   // the version that it says again
  readonly failed: string | null     // why it did not start
}
export interface NewVersion { readonly name: string, readonly instance: string, readonly definition: string, readonly restores?: number | null }

/** Where pipelines that the API puts are kept, with all their versions. A change that somebody makes is one statement with its line of the audit log, which has the id of its `request`. */
export interface Registry {
  /** Creates what is missing in the database. */
  open (): Promise<void>
  all (): Promise<readonly Wanted[]>
  find (name: string): Promise<Wanted | undefined>
  /** Newest first. */
  versions (name: string): Promise<readonly Version[]>
  definition (name: string, version: number): Promise<string | undefined>
  /** The next version; of a pipeline that is not there, or was deleted, when `expected` is undefined. Undefined when it is not in that version any more. */
  put (given: NewVersion, expected: number | undefined, actor: string, request?: string): Promise<Wanted | undefined>
  /** False when it is not in that version any more. */
  set (name: string, state: Wanted['state'], version: number, actor: string, request?: string): Promise<boolean>
  /** What is wanted is so. */
  settle (name: string, version: number): Promise<void>
  /** A version has not started: what was wanted before is wanted again (nothing, when there was nothing). */
  revert (name: string, version: number, to: { readonly version: number, readonly state: Wanted['state'] }, why: string, actor: string, request?: string): Promise<void>
  close (): Promise<void>
}
