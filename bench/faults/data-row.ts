/** One row of the fault matrix: what it is called, how many rounds it has in each tier, and how it is run. */
export interface Row {
  readonly id: string
  readonly name: string
  readonly alone?: true
  readonly rounds: { readonly commit?: number, readonly nightly?: number, readonly release?: number }
  run (options: { readonly seed: number, readonly rounds: number, readonly stretch: number, readonly say: (line: string) => void }): Promise<{ readonly verdict: 'pass' | 'fail', readonly [figure: string]: unknown }>
}
