-- A second wall between tenants, behind the conditions in every statement: what is asked for one tenant is asked as the role
-- millrace_tenant, which sees and changes only what is of the tenant that `millrace.tenant` says, and nothing when it says none.
-- All other roles see what they saw. The role and its rights are made by the program, since not every user of a database may.

ALTER TABLE devices ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON devices USING (current_user <> 'millrace_tenant' OR tenant = (SELECT current_setting('millrace.tenant', true)));
ALTER TABLE series ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON series USING (current_user <> 'millrace_tenant' OR device IN (SELECT id FROM devices));
ALTER TABLE late_readings ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON late_readings USING (current_user <> 'millrace_tenant' OR series = ANY (ARRAY(SELECT id FROM series)));
ALTER TABLE alerts ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON alerts USING (current_user <> 'millrace_tenant' OR tenant = (SELECT current_setting('millrace.tenant', true)));
ALTER TABLE alert_outbox ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON alert_outbox USING (current_user <> 'millrace_tenant' OR EXISTS (SELECT FROM alerts a WHERE a.id = event));
ALTER TABLE alert_deliveries ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON alert_deliveries USING (current_user <> 'millrace_tenant' OR EXISTS (SELECT FROM alerts a WHERE a.id = event));
ALTER TABLE alert_incidents ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON alert_incidents USING (current_user <> 'millrace_tenant' OR tenant = (SELECT current_setting('millrace.tenant', true)));
ALTER TABLE alert_comments ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON alert_comments USING (current_user <> 'millrace_tenant' OR tenant = (SELECT current_setting('millrace.tenant', true)));
ALTER TABLE silences ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON silences USING (current_user <> 'millrace_tenant' OR tenant = (SELECT current_setting('millrace.tenant', true)));
ALTER TABLE audit ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON audit USING (current_user <> 'millrace_tenant' OR tenant = (SELECT current_setting('millrace.tenant', true)));
ALTER TABLE jobs ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON jobs USING (current_user <> 'millrace_tenant' OR tenant = (SELECT current_setting('millrace.tenant', true)));
