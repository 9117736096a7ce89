/** Preloaded into an engine that is to run out of memory: keeps MILLRACE_LEAK MB more each second. */
const kept: unknown[] = [], each = Number(process.env.MILLRACE_LEAK) / 20
setInterval(() => { for (let n = 0; n < each; n++) kept.push(Array.from({ length: 16_384 }, (_, i) => ({ i }))) }, 50).unref()
