-- Work that takes longer than a request.

CREATE TABLE jobs (
  id          text PRIMARY KEY,
  kind        text NOT NULL,
  tenant      text,
  instance    text NOT NULL,
  target      text NOT NULL,
  asked       jsonb NOT NULL,
  state       text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'failed', 'cancelled', 'interrupted')),
  done        bigint NOT NULL DEFAULT 0,
  total       bigint,
  detail      text,
  author      text NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT now(),
  ended_at    timestamptz
);
CREATE INDEX jobs_running ON jobs (instance) WHERE state = 'running';
COMMENT ON TABLE jobs IS 'Work that somebody asked for and that takes longer than a request. instance: whose it is, the id in instance.json of the folder. interrupted: its process has ended, and it did not go on.';
