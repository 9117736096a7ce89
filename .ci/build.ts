/** A build into dist, but for its types. Folders that are named hold what tsc has made, file by file: they run without tsx then. */
import { bundle, runsAlone } from './bundle.ts'

await bundle('dist')
for (const folder of process.argv.slice(2)) runsAlone(folder)
