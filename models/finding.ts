/** What a check says of one reading: -log10 of the probability that a healthy series shows as much, 0 to LIMIT of tail.ts, and how much it is, in a unit of the check's own; the size means nothing where the evidence is 0. */
export class Finding {
  evidence = 0
  size = 0

  say (evidence: number, size: number): void {
    this.evidence = evidence
    this.size = size
  }
}
