/**
 * What tap asks of async-hook-domain: whom to tell of an error that nobody has caught. There that follows every promise and every timer to the test
 * that it belongs to, which is a third of the time of a test that awaits much; here it is the file. An error stands in it then with its place, and fails it.
 */
const open = []                      // the file is the first, then its tests

export class Domain {
  constructor (onerror) {
    this.onerror = onerror
    open.push(this)
  }

  destroy () {
    const at = open.indexOf(this)
    if (at >= 0) open.splice(at, 1)
  }
}

/** Whether it was told. Who has listeners of his own wants the error himself. */
function isTold (error, event) {
  const [domain] = open
  if (domain === undefined || process.hasUncaughtExceptionCaptureCallback() || process.listenerCount('uncaughtException') > 0) return false
  domain.onerror(error, event)
  return true
}

process.on('uncaughtExceptionMonitor', (error, event) => {
  if (isTold(error, event)) process.setUncaughtExceptionCaptureCallback(() => { process.setUncaughtExceptionCaptureCallback(null) })        // what would end the process otherwise
})
const { emit } = process
process.emit = (event, ...args) => event === 'unhandledRejection' && process.listenerCount(event) === 0 ? isTold(args[0], event) : emit.call(process, event, ...args)
