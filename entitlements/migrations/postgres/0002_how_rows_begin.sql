-- Nobody begins closed: a tenant that has ended has been one first.
CREATE TRIGGER tenants_begin_open BEFORE INSERT ON tenants
FOR EACH ROW WHEN (NEW.status = 'closed') EXECUTE FUNCTION never('a tenant does not begin closed');

-- An entry of the feed out of its order would never be read.
CREATE TRIGGER changes_come_from_tenants BEFORE INSERT ON changes
FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION never('the feed is written with each change of a tenant, not by hand');

-- Whether somebody is alone is asked with each change, however many have gone before.
CREATE INDEX tenants_open ON tenants (id) WHERE status <> 'closed';

-- The name of a license at its source is short enough for every database's index.
CREATE TRIGGER licenses_have_a_short_source_ref BEFORE INSERT ON licenses
FOR EACH ROW WHEN (length(NEW.source_ref) NOT BETWEEN 1 AND 256) EXECUTE FUNCTION never('source_ref has 1 to 256 characters');
