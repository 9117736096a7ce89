/** How many partitions there are. Positions, snapshots and epochs are kept by them: never changed without moving all of it. */
export const PARTITIONS = 64

/**
 * The partition of a device: FNV-1a (32 bits, http://www.isthe.com/chongo/tech/comp/fnv/) over the UTF-8 of tenant and device,
 * one behind the other, modulo 64. The same as `{{partition(64, tenant, device)}}` of a NATS server.
 */
export function partitionOf (tenant: string, device: string): number {
  let hash = 0x811c9dc5
  for (const byte of Buffer.from(tenant + device)) hash = Math.imul(hash ^ byte, 0x01000193)
  return (hash >>> 0) % PARTITIONS
}

/** Which of so many workers, numbered from 0, has a partition. */
export const workerOf = (partition: number, workers: number): number => partition % workers
