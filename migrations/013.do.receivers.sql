-- Receivers are known by what they are, and no longer by their place under `to`; keys say when they were last used; the audit log only grows.

CREATE TABLE alert_receivers (
  pipeline    text NOT NULL,
  receiver    text NOT NULL,
  PRIMARY KEY (pipeline, receiver)
);
COMMENT ON TABLE alert_receivers IS 'Under which keys alerts of a pipeline have been for somebody. When one goes by another key its deliveries are moved, and it stands here by that.';
INSERT INTO alert_receivers SELECT DISTINCT pipeline, receiver FROM alert_outbox;

ALTER TABLE api_keys ADD COLUMN used_at timestamptz;
COMMENT ON COLUMN api_keys.used_at IS 'When a request last came with it, to a minute; null: never, or not since this is kept.';

CREATE FUNCTION audit_only_grows () RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'rows of the audit log are neither changed nor removed (%)', TG_OP USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER audit_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_only_grows();
ALTER TABLE audit ENABLE ALWAYS TRIGGER audit_only_grows;
COMMENT ON TABLE audit IS 'Every change that somebody made: written in the transaction of the change; a trigger refuses to change or remove a row. actor: the id of a key, or the command line.';
