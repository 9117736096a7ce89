-- How alerts reach people, and what people do about them.

ALTER TABLE alerts ADD COLUMN details jsonb NOT NULL DEFAULT '{}';
COMMENT ON COLUMN alerts.details IS 'What the columns of detectors and the pipeline say besides: expected range, p-value, contributing signals, verdict, version.';
CREATE INDEX alerts_series ON alerts (pipeline, alert, tenant, device, metric, ingested_at);

ALTER TABLE alert_outbox
  ADD COLUMN posted_at timestamptz NOT NULL DEFAULT now(),
  ADD COLUMN ready_at  timestamptz,
  ADD COLUMN held      text CHECK (held IN ('escalation', 'flapping', 'cooldown', 'group')),
  ADD COLUMN grouped   text,
  ADD COLUMN leader    text,
  DROP CONSTRAINT alert_outbox_state_check,
  ADD CONSTRAINT alert_outbox_state_check CHECK (state IN ('due', 'delivered', 'dead', 'silenced', 'suppressed'));
UPDATE alert_outbox SET ready_at = ingested_at, posted_at = ingested_at;
DROP INDEX alert_outbox_due;
CREATE INDEX alert_outbox_due ON alert_outbox (pipeline, due) WHERE state = 'due' AND ready_at IS NOT NULL;
CREATE INDEX alert_outbox_undecided ON alert_outbox (pipeline, due) WHERE state = 'due' AND ready_at IS NULL;
CREATE INDEX alert_outbox_leader ON alert_outbox (leader, receiver) WHERE leader IS NOT NULL;
CREATE INDEX alert_outbox_posted ON alert_outbox (posted_at);
COMMENT ON COLUMN alert_outbox.ready_at IS 'Since when it may be sent, decided once; null: not decided yet, or held until due.';
COMMENT ON COLUMN alert_outbox.held IS 'Why it waits until due, or waited.';
COMMENT ON COLUMN alert_outbox.grouped IS 'What it is gathered by, while it waits for others.';
COMMENT ON COLUMN alert_outbox.leader IS 'The event whose notification it is part of; null: it is one of its own.';
COMMENT ON COLUMN alert_outbox.error IS 'Why it was not delivered, or not yet.';

CREATE TABLE alert_deliveries (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  event       text NOT NULL REFERENCES alerts ON DELETE CASCADE,
  receiver    text NOT NULL,
  time        timestamptz NOT NULL DEFAULT now(),
  outcome     text NOT NULL CHECK (outcome IN ('delivered', 'retry', 'dead', 'replay')),
  error       text
);
CREATE INDEX alert_deliveries_event ON alert_deliveries (event, receiver);
COMMENT ON TABLE alert_deliveries IS 'Every try to send, and every replay that somebody asked for.';

CREATE TABLE alert_endpoints (
  endpoint    text PRIMARY KEY,
  name        text NOT NULL,
  reason      text NOT NULL,
  disabled_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE alert_endpoints IS 'Endpoints that said they are gone (410): nothing is sent to them. Enabling one deletes its row.';

CREATE TABLE alert_incidents (
  incident        text PRIMARY KEY,
  tenant          text NOT NULL,
  acknowledged_at timestamptz,
  acknowledged_by text,
  verdict         text CHECK (verdict IN ('real', 'false alarm')),
  verdict_at      timestamptz,
  verdict_by      text
);
COMMENT ON TABLE alert_incidents IS 'What people have said of an incident. verdict: whether it was one.';

CREATE TABLE alert_comments (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  incident    text NOT NULL,
  tenant      text NOT NULL,
  time        timestamptz NOT NULL DEFAULT now(),
  author      text NOT NULL,
  text        text NOT NULL
);
CREATE INDEX alert_comments_incident ON alert_comments (incident);
COMMENT ON TABLE alert_comments IS 'Comments on incidents.';

CREATE TABLE silences (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind        text NOT NULL CHECK (kind IN ('silence', 'maintenance')),
  tenant      text,
  device      text,
  pipeline    text,
  alert       text,
  begins_at   timestamptz NOT NULL,
  ends_at     timestamptz NOT NULL CHECK (ends_at > begins_at),
  reason      text NOT NULL,
  author      text NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT now(),
  CHECK (kind = 'silence' OR device IS NOT NULL)
);
CREATE INDEX silences_end ON silences (ends_at);
COMMENT ON TABLE silences IS 'Spans of the wall clock in which nobody is told of what fires. device: a pattern in which * stands for anything, of a maintenance window a name. What is null is any; ending one early sets ends_at.';
