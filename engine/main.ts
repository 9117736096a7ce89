#!/usr/bin/env node
/** The composition root and the program: the only file of the engine that knows which components there are. */
import * as sources from '../connectors/index.ts'
import { labelsInColumn } from '../connectors/label-column.ts'
import { readLabels } from '../connectors/labels.ts'
import { plantFault } from '../connectors/planted.ts'
import * as operators from '../operators/index.ts'
import { openEmbedded } from '../sinks/embedded.ts'
import { fileStore } from '../sinks/file.ts'
import { getJson } from '../sinks/http/get.ts'
import * as sinks from '../sinks/index.ts'
import { PostgresActions } from '../sinks/postgres-actions.ts'
import { PostgresJobs } from '../sinks/postgres-jobs.ts'
import { PostgresKeys } from '../sinks/postgres-keys.ts'
import { PostgresQuery } from '../sinks/postgres-query.ts'
import { PostgresRegistry } from '../sinks/postgres-registry.ts'
import { migrate as migrateDatabase, migrationStatus } from '../sinks/postgres-migrate.ts'
import { commands } from './cli/index.ts'
import { main } from './cli/program.ts'
import type { Parts } from './components.ts'

// packages that take long to load, and that few need, are loaded by who needs them
export const parts: Parts = {
  publishFleet: async options => (await import('../connectors/publisher.ts')).publishFleet(options),
  openSharedKeys: async (url, log) => new (await import('../connectors/redis-keys.ts')).RedisKeys(url, log),
  sources, operators, sinks, fileStore, plantFault, readLabels, labelsInColumn, openDatabase: openEmbedded, getJson, openKeys: url => new PostgresKeys(url), openRegistry: url => new PostgresRegistry(url), openJobs: url => new PostgresJobs(url), openQuery: url => new PostgresQuery(url), openActions: url => new PostgresActions(url), migrate: migrateDatabase, migrationStatus
}

// a reader that has seen enough, such as head, ends the program without complaint
process.stdout.on('error', error => { process.exit((error as NodeJS.ErrnoException).code === 'EPIPE' ? 0 : 1) })

process.exitCode = await main(process.argv.slice(2), parts, commands)
