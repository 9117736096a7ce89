/** What was wrong, when, with which device: what people know about a history. `from` and `to`, both included, in ms. */
export interface Label {
  readonly device: string
  readonly metric: string            // '': the whole device
  readonly from: number
  readonly to: number
  readonly kind: string              // such as drift or leak; '' when nobody says
}
