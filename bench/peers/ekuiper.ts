/** eKuiper cannot be compared as it is built: its sink for PostgreSQL is a plugin that has to be compiled together with it. */
import { programOf, type Candidate } from './peer.ts'

export const ekuiper: Candidate = {
  name: 'ekuiper',
  async find (places) {
    return programOf(['kuiperd'], places, ['-help']) === undefined ? 'no program kuiperd in PATH or --bin' : 'kuiperd as it is built has no sink for PostgreSQL'
  }
}
