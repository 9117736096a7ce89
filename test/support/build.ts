/** Before the tests: the command as it is published, which they start many times. See program.ts. */
import { rmSync } from 'node:fs'
import { bundle } from '../../.ci/bundle.ts'

rmSync('.built', { recursive: true, force: true })
await bundle('.built')
