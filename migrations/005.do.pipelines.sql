-- Pipelines that somebody has put, in all their versions.

CREATE TABLE pipelines (
  name        text PRIMARY KEY,
  instance    text NOT NULL,
  version     integer NOT NULL,
  state       text NOT NULL CHECK (state IN ('running', 'paused', 'deleted')),
  settled     boolean NOT NULL,
  previous    integer,
  changed_at  timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE pipelines IS 'What is wanted of each pipeline that the API has put. instance: whose it is, the id in instance.json of the folder with its log. settled: it is so; until then previous is the version that ran before.';

CREATE TABLE pipeline_versions (
  pipeline    text NOT NULL REFERENCES pipelines,
  version     integer NOT NULL,
  definition  text NOT NULL,
  author      text NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT now(),
  restores    integer,
  failed      text,
  PRIMARY KEY (pipeline, version)
);
COMMENT ON TABLE pipeline_versions IS 'Definitions as they were sent, YAML. author: the id of a key. restores: the version that this one says again; failed: why it did not start.';
