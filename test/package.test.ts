import t from 'tap'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, symlinkSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { copied } from './support/program.ts'

const root = copied(t, ['.ci', 'bench', 'compose', 'connectors', 'data', 'docs', 'engine', 'migrations', 'models', 'operators', 'sinks', 'test', '.gitignore', '.npmrc', 'CHANGELOG.md', 'LICENSE', 'README.md', 'index.ts', 'package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json'])
const exec = promisify(execFile)
/** Without NODE_OPTIONS: tap measures coverage in every child by it, and tsc does not start under that. */
const run = async (command: string, args: string[], cwd = root): Promise<string> => (await exec('env', ['-u', 'NODE_OPTIONS', command, ...args], { cwd, maxBuffer: 2 ** 24 })).stdout

t.before(async () => { await run('npm', ['run', 'build']) })

t.test('what is published is the built package with its migrations, and neither tests nor sources', async t => {
  const [{ files }] = JSON.parse(await run('npm', ['pack', '--dry-run', '--ignore-scripts', '--json'])) as [{ files: { path: string }[] }]
  const paths = files.map(f => f.path)
  for (const wanted of ['LICENSE', 'README.md', 'package.json', 'dist/package.json', 'dist/licences.txt', 'dist/index.js', 'dist/index.d.ts', 'dist/engine/main.js', 'migrations/001.do.core.sql', 'data/demo.yaml', 'compose/compose.yaml']) t.ok(paths.includes(wanted), `${wanted} is in the package`)
  const folders = new Set(paths.filter(p => p.includes('/')).map(p => p.slice(0, p.indexOf('/'))))
  t.strictSame([...folders].sort(), ['compose', 'data', 'dist', 'migrations'])
  t.strictSame(paths.filter(p => p.startsWith('dist/') && p.endsWith('.ts') && !p.endsWith('.d.ts')), [], 'no TypeScript sources')
  t.strictSame(paths.filter(p => /\.env$|\.test\.|node_modules/.test(p)), [])
})

t.test('the built command runs without tsx', async t => {
  const { bin, version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  t.match(await run(join(root, bin.millrace), ['--help']), /^Usage: millrace /)
  t.equal((await run(join(root, bin.millrace), ['--version'])).trim(), version)
})

t.test('the built command lets in who has a token of an issuer', async t => {
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true })
  const folder = t.testdir({
    'jwks.json': JSON.stringify({ keys: [{ ...await exportJWK(publicKey), kid: 'a', alg: 'ES256' }] }),
    'jwt.yaml': 'issuer: https://idp.example.com\naudience: millrace\nkeys: jwks.json\nallTenants: all\n',
    'p.yaml': 'name: p\nfrom: { simulator: {} }\nto: [ file: { table: readings } ]\n'
  })
  const { bin } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const child = spawn('env', ['-u', 'NODE_OPTIONS', join(root, bin.millrace), 'run', join(folder, 'p.yaml'), '--jwt', join(folder, 'jwt.yaml'), '--http', '127.0.0.1:0', '--folder', folder], { stdio: ['ignore', 'ignore', 'pipe'] }), ended = once(child, 'close')
  t.teardown(async () => { child.kill('SIGKILL'); await ended })
  const page = /status page (http:\/\/[^"\s]+?)\/["\s]/
  let said = ''
  for await (const part of child.stderr) if (page.test(said += part)) break
  const [, url] = page.exec(said)!
  const token = await new SignJWT({ sub: 'ada', tenant: 'all', scope: 'pipelines:read' }).setProtectedHeader({ alg: 'ES256', kid: 'a' }).setIssuer('https://idp.example.com').setAudience('millrace').setExpirationTime('5m').sign(privateKey)
  t.equal((await fetch(`${url}/api/v1/pipelines`, { headers: { authorization: `Bearer ${token}` } })).status, 200)
})

t.test('a program that depends on the package imports engine and components by its name, with their types', async t => {
  const folder = t.testdir({
    'package.json': JSON.stringify({ type: 'module' }),
    'tsconfig.json': JSON.stringify({ compilerOptions: { module: 'nodenext', target: 'es2023', lib: ['es2023'], types: [], strict: true, skipLibCheck: true, noEmit: true } }),
    'plan.ts': `
      import { mqtt, pipeline, postgres, tumbling, zscore, type Pipeline } from 'millrace'
      export const plan: Pipeline = pipeline('boilers')
        .from(mqtt({ topic: '{tenant}/{device}/{metric}' }), { lateness: '5s' })
        .pipe(zscore({ over: '1h' }))
        .branch('minutes', p => p.pipe(tumbling({ every: '1m', features: ['mean', 'slope'] })).to(postgres({ table: 'features_1m' })))
        .alert('hot', { when: { zscore: { above: 4 } } })
        .to(postgres({ table: 'readings' }))
      // @ts-expect-error: nobody has added that column
      plan && pipeline('wrong').alert('hot', { when: { zscore: { above: 4 } } })
    `,
    'plan.js': `
      import { mqtt, operators, pipeline, postgres, sources, sinks, tumbling, zscore } from 'millrace'
      const plan = pipeline('boilers').from(mqtt({ topic: '{device}/{metric}' })).pipe(zscore({ over: '1h' }), tumbling({ every: '1m' })).to(postgres({ table: 'rows' }))
      console.log(JSON.stringify([plan.steps.map(s => s.name), operators.zscore === zscore, sources.mqtt === mqtt, sinks.postgres === postgres]))
    `
  })
  mkdirSync(join(folder, 'node_modules'))
  symlinkSync(root, join(folder, 'node_modules', 'millrace'))
  t.strictSame(JSON.parse(await run(process.execPath, ['plan.js'], folder)), [['zscore', 'tumbling'], true, true, true])
  t.equal(await run(join(root, 'node_modules', '.bin', 'tsc'), ['-p', '.'], folder).catch(error => String(error.stdout)), '')
})

t.test('the lock file names every optional dependency, or npm ci refuses it', async t => {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as { packages: Record<string, { optionalDependencies?: Record<string, string>, resolved?: string }> }
  const wanted = Object.values(packages).flatMap(p => Object.keys(p.optionalDependencies ?? {}))
  t.ok(wanted.length > 20)
  t.strictSame(wanted.filter(name => packages[`node_modules/${name}`] === undefined), [], 'mend it with: npm run lock')
  t.strictSame(Object.values(packages).filter(p => p.resolved !== undefined), [], 'and where a package came from is nobody\'s business')
})

t.test('the licence is there whole', async t => {
  t.ok(existsSync(join(root, 'LICENSE')))
  t.match(readFileSync(join(root, 'LICENSE'), 'utf8'), /Apache License\s+Version 2\.0[\s\S]+END OF TERMS AND CONDITIONS/)
})
