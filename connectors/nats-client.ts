/** The client of NATS, behind a file of ours: in the build a package that is CommonJS shows no names when it is imported on demand. */
export { jetstreamManager } from '@nats-io/jetstream'
export { connect, credsAuthenticator } from '@nats-io/transport-node'
