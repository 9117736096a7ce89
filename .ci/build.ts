/** The rest of a build, after tsc: what makes its folder run without tsx, and the command executable. */
import { chmodSync, writeFileSync } from 'node:fs'

const [folder = 'dist'] = process.argv.slice(2)
writeFileSync(`${folder}/package.json`, `${JSON.stringify({ type: 'module', imports: { '#engine': './engine/index.js' } }, null, 2)}\n`)
chmodSync(`${folder}/engine/main.js`, 0o755)
