-- What every pipeline needs, whatever it writes. Tables of readings and windows are made from a pipeline's columns when it opens.
-- `position`: number of the record in the pipeline's log that made or last changed the row. `ingested_at`: ingest clock of its commit.

CREATE TABLE devices (
  id          integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant      text NOT NULL,
  name        text NOT NULL,
  type        text,
  site        text,
  tags        jsonb NOT NULL DEFAULT '{}',
  position    bigint NOT NULL,
  ingested_at timestamptz NOT NULL,
  UNIQUE (tenant, name)
);
COMMENT ON TABLE devices IS 'Devices. type, site and tags come from extra names in topics or from a tags file; what is named again replaces what was.';

CREATE TABLE series (
  id          integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  device      integer NOT NULL REFERENCES devices,
  metric      text NOT NULL,
  unit        text,
  position    bigint NOT NULL,
  ingested_at timestamptz NOT NULL,
  UNIQUE (device, metric)
);
COMMENT ON TABLE series IS 'A metric of a device: the durable id that rows carry, given in the transaction of its first row.';

CREATE TABLE checkpoint (
  pipeline    text NOT NULL,
  partition   integer NOT NULL DEFAULT 0,
  epoch       bigint NOT NULL DEFAULT 1,
  version     bigint NOT NULL DEFAULT 0,
  position    bigint,
  tick        double precision,
  snapshot    bytea,
  ingested_at timestamptz,
  PRIMARY KEY (pipeline, partition)
);
COMMENT ON TABLE checkpoint IS 'How far a pipeline has come. Written in the transaction of the rows; epoch says who owns it, version counts commits.';
COMMENT ON COLUMN checkpoint.tick IS 'Ingest time, ms since 1970, of a tick that follows position; null: none.';

CREATE TABLE counts (
  pipeline      text NOT NULL,
  branch        text NOT NULL,
  received      bigint NOT NULL,
  derived       bigint NOT NULL,
  written       bigint NOT NULL,
  late          bigint NOT NULL,
  filtered      bigint NOT NULL,
  deduplicated  bigint NOT NULL,
  dead_lettered bigint NOT NULL,
  aggregated    bigint NOT NULL,
  rows          bigint NOT NULL,
  position      bigint NOT NULL,
  ingested_at   timestamptz NOT NULL,
  PRIMARY KEY (pipeline, branch)
);
COMMENT ON TABLE counts IS 'The accounting of each branch ('''' is the trunk) since the pipeline first ran, as of its checkpoint.';

CREATE TABLE alerts (
  id          text PRIMARY KEY,
  incident    text NOT NULL,
  state       text NOT NULL CHECK (state IN ('firing', 'resolved')),
  tenant      text NOT NULL,
  pipeline    text NOT NULL,
  alert       text NOT NULL,
  severity    text NOT NULL,
  device      text NOT NULL,
  metric      text NOT NULL,
  since       timestamptz NOT NULL,
  time        timestamptz NOT NULL,
  value       double precision,
  evidence    jsonb NOT NULL,
  message     text NOT NULL,
  stale       boolean NOT NULL DEFAULT false,
  position    bigint NOT NULL,
  ingested_at timestamptz NOT NULL
);
CREATE INDEX alerts_time ON alerts (pipeline, time DESC);
CREATE INDEX alerts_incident ON alerts (incident);
COMMENT ON TABLE alerts IS 'Transitions of incidents, each once: the id is the same whenever the same data is processed again.';

CREATE TABLE alert_outbox (
  event       text NOT NULL REFERENCES alerts ON DELETE CASCADE,
  receiver    text NOT NULL,
  pipeline    text NOT NULL,
  state       text NOT NULL DEFAULT 'due' CHECK (state IN ('due', 'delivered', 'dead')),
  attempts    integer NOT NULL DEFAULT 0,
  due         timestamptz NOT NULL,
  settled_at  timestamptz,
  error       text,
  position    bigint NOT NULL,
  ingested_at timestamptz NOT NULL,
  PRIMARY KEY (event, receiver)
);
CREATE INDEX alert_outbox_due ON alert_outbox (pipeline, due) WHERE state = 'due';
COMMENT ON COLUMN alerts.stale IS 'of a backlog: stored, sent to nobody';
COMMENT ON TABLE alert_outbox IS 'One delivery of one alert to one receiver. A lease moves due a minute on.';

CREATE TABLE late_readings (
  pipeline    text NOT NULL,
  branch      text NOT NULL,
  step        text NOT NULL,
  time        timestamptz NOT NULL,
  series      integer NOT NULL,
  value       double precision,
  position    bigint NOT NULL,
  ingested_at timestamptz NOT NULL
);
CREATE INDEX late_readings_time ON late_readings (pipeline, ingested_at);
COMMENT ON TABLE late_readings IS 'Readings that came after the window they belong to had closed.';

CREATE TABLE dead_letters (
  pipeline    text NOT NULL,
  position    bigint NOT NULL,
  part        integer NOT NULL,
  reason      text NOT NULL,
  detail      text NOT NULL,
  topic       text NOT NULL,
  payload     bytea NOT NULL,
  ingested_at timestamptz NOT NULL,
  PRIMARY KEY (pipeline, position, part)
);
CREATE INDEX dead_letters_time ON dead_letters (pipeline, ingested_at);
COMMENT ON TABLE dead_letters IS 'What could not become a row: the bytes as they came (the row as JSON when the store refused it), and why.';

CREATE VIEW series_named AS
  SELECT s.id AS series, d.tenant, d.name AS device, s.metric, s.unit, d.type, d.site, d.tags
  FROM series s JOIN devices d ON d.id = s.device;
COMMENT ON VIEW series_named IS 'Every series with the names and tags of its device.';

CREATE VIEW late_readings_named AS
  SELECT l.time, n.tenant, n.device, n.metric, n.unit, n.type, n.site, n.tags, l.value, l.pipeline, l.branch, l.step, l.series, l.position, l.ingested_at
  FROM late_readings l JOIN series_named n ON n.series = l.series;
