-- After maintenance a device is learned anew.

ALTER TABLE silences
  ADD COLUMN relearn   boolean NOT NULL DEFAULT false CHECK (kind = 'maintenance' OR NOT relearn),
  ADD COLUMN relearned jsonb   NOT NULL DEFAULT '{}';
COMMENT ON COLUMN silences.relearn IS 'When it is over, detectors learn the device anew; of those from before this migration they do not.';
COMMENT ON COLUMN silences.relearned IS 'Since when they do, by pipeline.';

ALTER TABLE marks ADD COLUMN relearn jsonb, DROP CONSTRAINT marks_kind_check, ADD CONSTRAINT marks_kind_check CHECK (kind IN ('tick', 'listen', 'relearn'));
COMMENT ON TABLE marks IS 'Ticks of the ingest clock (ms since 1970), ends of pauses and devices that are learned anew since the older snapshot, for sources whose log does not have them.';
COMMENT ON COLUMN marks.relearn IS 'Which device is learned anew, and after which end of a maintenance window, ms since 1970.';
