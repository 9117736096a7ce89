-- What is due is found in its order, however much is: with tens of thousands of alerts due, sorting them for every four that are sent
-- let an alert storm go on for hours.

DROP INDEX alert_outbox_due;
CREATE INDEX alert_outbox_due ON alert_outbox (pipeline, due, position) WHERE state = 'due' AND ready_at IS NOT NULL;
