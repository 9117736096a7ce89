-- Recovery: positions, epochs and snapshots by partition, snapshots taken while running, and what decides beside readings.

ALTER TABLE checkpoint DROP COLUMN tick, DROP COLUMN snapshot, ADD COLUMN origin text;
COMMENT ON TABLE checkpoint IS 'How far each partition of a pipeline has come. Written in the transaction of the rows, for the partitions that these are of; epoch says who owns it, version is the number of the last commit.';
COMMENT ON COLUMN checkpoint.origin IS 'What position counts in: a write-ahead log, or a stream.';

CREATE TABLE snapshots (
  pipeline     text NOT NULL,
  generation   bigint NOT NULL,
  position     bigint NOT NULL,
  version      bigint NOT NULL,
  origin       text,
  pages        integer NOT NULL,
  layout       jsonb NOT NULL,
  ingested_at  timestamptz NOT NULL,
  PRIMARY KEY (pipeline, generation)
);
COMMENT ON TABLE snapshots IS 'What a pipeline remembered after position, when version commits were done. The newest is recovered from; the one before is for the case that it is damaged.';

CREATE TABLE snapshot_pages (
  pipeline     text NOT NULL,
  partition    integer NOT NULL,
  page         integer NOT NULL,
  generation   bigint NOT NULL,
  digest       bytea NOT NULL,
  data         bytea NOT NULL,
  PRIMARY KEY (pipeline, partition, page, generation)
);
ALTER TABLE snapshot_pages ALTER COLUMN data SET STORAGE EXTERNAL;
COMMENT ON TABLE snapshot_pages IS 'What is remembered about a few devices. A snapshot is the newest version of each page that is not above its generation.';

CREATE TABLE marks (
  pipeline     text NOT NULL,
  version      bigint NOT NULL,
  part         integer NOT NULL,
  position     bigint NOT NULL,
  kind         text NOT NULL CHECK (kind IN ('tick', 'listen')),
  time         double precision NOT NULL,
  PRIMARY KEY (pipeline, version, part)
);
COMMENT ON TABLE marks IS 'Ticks of the ingest clock (ms since 1970) and ends of pauses since the older snapshot, for sources whose log does not have them.';

ALTER TABLE dead_letters ADD COLUMN origin text NOT NULL DEFAULT '', DROP CONSTRAINT dead_letters_pkey;
ALTER TABLE dead_letters ADD PRIMARY KEY (pipeline, origin, position, part);
COMMENT ON COLUMN dead_letters.origin IS 'What position counts in, as in checkpoint.';

ALTER TABLE dead_letters ADD COLUMN requeued_at timestamptz;
ALTER TABLE late_readings ADD COLUMN requeued_at timestamptz;
COMMENT ON COLUMN dead_letters.requeued_at IS 'When it was given to the source once more.';
