-- Who may do what, and who has done it.

CREATE TABLE api_keys (
  id          text PRIMARY KEY,
  digest      bytea NOT NULL,
  name        text NOT NULL,
  tenant      text,
  scopes      text[] NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT now(),
  expires_at  timestamptz,
  revoked_at  timestamptz
);
COMMENT ON TABLE api_keys IS 'API keys by the part of them that is no secret. digest: SHA-256 of the rest; tenant: null is every tenant.';

CREATE TABLE audit (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  time        timestamptz NOT NULL DEFAULT now(),
  actor       text NOT NULL,
  tenant      text,
  action      text NOT NULL,
  target      text NOT NULL,
  change      jsonb NOT NULL
);
COMMENT ON TABLE audit IS 'Every change that somebody made: written in the transaction of the change, never changed. actor: the id of a key, or the command line.';
