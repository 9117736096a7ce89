import t from 'tap'
import { execFile } from 'node:child_process'
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { blocksOf, GUIDE, plainEnvironment } from '../support/docs.ts'
import { copied } from '../support/program.ts'

t.test('following the page on operators to the letter works', async t => {
  const blocks = blocksOf(GUIDE)
  const copy = copied(t, ['engine', 'connectors', 'operators', 'models', 'sinks', 'migrations', 'data', 'bench', 'test', 'docs', '.ci', 'index.ts', 'package.json', 'tsconfig.json', 'tsconfig.build.json', '.taprc'])
  for (const { values: { file, add }, text } of blocks) {
    if (file !== undefined) {
      mkdirSync(dirname(join(copy, file)), { recursive: true })
      writeFileSync(join(copy, file), `${text}\n`, { flag: 'wx' })
    }
    if (add !== undefined) appendFileSync(join(copy, add), `${text}\n`)
  }
  const run = (script: string) => new Promise<{ code: number, out: string }>(resolve => {
    execFile('bash', ['-euo', 'pipefail', '-c', `unset NODE_OPTIONS; ${script}`], { cwd: copy, env: plainEnvironment(), maxBuffer: 2 ** 24 }, (error, stdout, stderr) => resolve({ code: error === null ? 0 : Number(error.code ?? -1), out: stdout + stderr }))
  })
  const outputs = new Map<string, string>()
  for (const line of blocks.filter(b => b.lang === 'sh').flatMap(b => b.text.split('\n'))) {
    const { code, out } = await run(line)
    t.equal(code, 0, `${line}\n${code === 0 ? '' : out}`)
    outputs.set(line, out)
  }
  const said = [...outputs.values()].join('\n')
  t.match(said, /# \{ total: 3, pass: 3 \}/, 'its tests were run')
  t.match(said, /ok \d+ - slew \{\} does not care where the stream is cut into batches # time/, 'and the laws')
  t.match(outputs.get('npm run millrace -- show slew'), /How fast each series changes/)
  t.match(readFileSync(join(copy, 'docs/reference/operators/slew.md'), 'utf8'), /\| 00:00:03 \| tank\/level \| 13 \| -1 \|/)
})
