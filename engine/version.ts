import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The package's own folder: where package.json and migrations are, from the sources and from dist/ alike. */
export const packageRoot = ((): string => {
  let folder = dirname(fileURLToPath(import.meta.url))
  for (;;) {
    try {
      if (JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).name === 'millrace') return folder
    } catch {}
    folder = dirname(folder)
  }
})()

export const version: string = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')).version
