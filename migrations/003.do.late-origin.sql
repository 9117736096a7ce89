-- Late rows are given back to the source one by one, like dead letters.

ALTER TABLE late_readings ADD COLUMN origin text NOT NULL DEFAULT '';
COMMENT ON COLUMN late_readings.origin IS 'What position counts in, as in checkpoint.';
COMMENT ON COLUMN late_readings.requeued_at IS 'When it was given to the source once more.';
