/** Every sink, by the name that YAML uses: a line each. */
export { file } from './file.ts'
export { postgres } from './postgres.ts'
export { stdout } from './stdout.ts'
export { webhook } from './webhook.ts'
