/** A pipeline for `millrace run`: the one in the file that MILLRACE_PIPELINE names, with an operator of its own before all others that throws on some values. */
import { readFileSync } from 'node:fs'
import * as sources from '../../connectors/index.ts'
import { defineOperator, Type } from '../../engine/index.ts'
import { readYaml } from '../../engine/yaml.ts'
import * as operators from '../../operators/index.ts'
import * as sinks from '../../sinks/index.ts'
import { isPoison } from './poison.ts'

const throwing = defineOperator({
  name: 'throwing',
  summary: 'Throws.',
  options: Type.Object({ always: Type.Boolean({ description: 'On every reading.', default: false }) }),
  process (batch, { always }) {
    for (let i = 0; i < batch.length; i++) if (always || isPoison(batch.value[i])) throw new Error(`no operator likes ${batch.value[i]}`)
    return batch
  }
})

const file = process.env.MILLRACE_PIPELINE!
const { pipeline, findings } = readYaml(readFileSync(file, 'utf8'), { sources, operators: { ...operators, throwing }, sinks }, { file })
if (pipeline === undefined) throw new Error(findings.map(f => f.message).join('; '))
export default pipeline
