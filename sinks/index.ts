import { file } from './file.ts'
import { postgres } from './postgres.ts'
import { stdout } from './stdout.ts'
import { webhook } from './webhook.ts'
export { file, postgres, stdout, webhook }

/** Every sink, by the name that YAML uses. */
export const sinks = { postgres, file, webhook, stdout }
