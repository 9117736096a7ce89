/** The floor of `broker`: aedes with a handler that counts. Answers 'count' on the IPC channel. */
import { createServer, type AddressInfo } from 'node:net'
import { Aedes } from 'aedes'

const aedes = await Aedes.createBroker()
let count = 0
aedes.on('publish', (_, client) => { if (client !== null) count++ })
process.on('message', message => { if (message === 'count') process.send!(count) })
const server = createServer(socket => { socket.setNoDelay(true); aedes.handle(socket) }).listen(0, '127.0.0.1', () => { console.log(`listening ${(server.address() as AddressInfo).port}.`) })
