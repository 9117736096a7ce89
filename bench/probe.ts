/** Preloaded into a process that is measured: answers 'mark' with what it has used so far, 'rest' likewise after a full collection. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

process.on('message', message => {
  if (message !== 'mark' && message !== 'rest') return
  if (message === 'rest') {
    setFlagsFromString('--expose-gc')
    runInNewContext('gc')()
  }
  process.send!({ cpu: process.cpuUsage(), rss: process.memoryUsage().rss })
})
process.channel?.unref()
