/** The rest of the build, after tsc: what makes dist/ run without tsx, and the command executable. */
import { chmodSync, writeFileSync } from 'node:fs'

writeFileSync('dist/package.json', `${JSON.stringify({ type: 'module', imports: { '#engine': './engine/index.js' } }, null, 2)}\n`)
chmodSync('dist/engine/main.js', 0o755)
