/** After how many seeds each planted bug is found: `npm run simulation:plants`. */
import { plants } from './plants.ts'
import { find } from './find.ts'

const most = Number(process.argv[2] ?? 300)
let missed = 0
for (const plant of plants) {
  const found = await find(plant, most)
  if (found === undefined) missed++
  console.log(`${String(found?.seeds ?? `> ${most}`).padStart(6)}  ${plant.name}${found === undefined ? '' : `: ${found.why}`}`)
}
process.exitCode = missed === 0 ? 0 : 1
