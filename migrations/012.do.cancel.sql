-- That a job is not wanted any more outlives the process that was asked to end it.

ALTER TABLE jobs ADD COLUMN cancelled_by text, ADD COLUMN cancel_request text;
COMMENT ON COLUMN jobs.cancelled_by IS 'Who has asked for its end first, while it was running; null: nobody.';
COMMENT ON COLUMN jobs.cancel_request IS 'In which request.';
