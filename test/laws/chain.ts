import type { Operator, Stage } from '#engine'

/** Steps one after the other as one operator, so that the laws can be asked of them together. */
export function chain (...steps: Operator[]): Operator {
  const windows = steps.findLastIndex(s => s.definition.windows)
  const flag = (key: 'derives' | 'windows' | 'crosses') => steps.some(s => s.definition[key]) ? { [key]: true as const } : {}
  const drops = steps.find(s => s.definition.drops !== undefined)?.definition.drops
  return {
    id: steps.map(s => s.id).join('+'), name: 'chain', options: {}, given: {}, remembers: true, needs: [],
    adds: steps.slice(Math.max(0, windows)).flatMap(s => [...s.adds]),
    definition: { ...steps[0].definition, name: 'chain', ...drops === undefined ? {} : { drops }, ...flag('derives'), ...flag('windows'), ...flag('crosses') },
    open (host): Stage {
      // as one, a chain counts readings where its first window takes them, or where they vanish before it; later steps see windows
      const first = steps.findIndex(s => s.definition.windows)
      const stages = steps.map((step, k) => step.open(k <= first || first < 0 ? host : { ...host, aggregated () {}, late () {} }))
      return {
        operator: this as Operator,
        fingerprint: 'chain',
        match: other => other === 'chain' ? 'same' : 'other',
        process (batch) {
          let out = batch
          stages.forEach((stage, k) => {
            const before = out.length
            out = stage.process(out)
            if (k < first) host.aggregated(before - out.length)
          })
          return out
        },
        bytes: () => 0,
        held: {},
        relearn (series, devices) { for (const stage of stages) stage.relearn(series, devices) },
        forms: { series: [], devices: [] },
        write () {},
        save: () => ({ fingerprint: 'chain', series: Object.fromEntries(stages.map((s, k) => [k, s.save()])) as any, devices: {} }),
        load (snapshot) { stages.forEach((s, k) => s.load((snapshot.series as any)[k])) }
      }
    }
  }
}
