/** Preloaded into a process that is measured: answers 'mark' with what it has used so far. */
process.on('message', message => {
  if (message === 'mark') process.send!({ cpu: process.cpuUsage(), rss: process.memoryUsage().rss })
})
process.channel?.unref()
