-- Which message made an alert, and which request a change.

ALTER TABLE alerts ADD COLUMN origin text NOT NULL DEFAULT '';
COMMENT ON COLUMN alerts.origin IS 'What position counts in, as in checkpoint.';

ALTER TABLE audit ADD COLUMN request text DEFAULT nullif(current_setting('millrace.request', true), '');
COMMENT ON COLUMN audit.request IS 'Id of the request that made it, as in the log; null: none did.';

CREATE INDEX late_readings_series ON late_readings (series, time);
COMMENT ON INDEX late_readings_series IS 'Reports count them by device.';
