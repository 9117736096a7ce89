/** Every sink, by the name that YAML uses: a line each. */
export { email } from './email.ts'
export { file } from './file.ts'
export { nats } from './nats.ts'
export { postgres } from './postgres.ts'
export { questdb } from './questdb.ts'
export { slack } from './slack.ts'
export { stdout } from './stdout.ts'
export { webhook } from './webhook.ts'
