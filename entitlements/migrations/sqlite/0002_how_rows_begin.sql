-- Nobody begins closed: a tenant that has ended has been one first.
CREATE TRIGGER tenants_begin_open BEFORE INSERT ON tenants WHEN NEW.status = 'closed'
BEGIN SELECT RAISE(ABORT, 'a tenant does not begin closed'); END;

-- An entry of the feed out of its order would never be read.
CREATE TRIGGER changes_have_no_gaps AFTER INSERT ON changes
WHEN NEW.seq <> COALESCE((SELECT max(seq) FROM changes WHERE seq < NEW.seq), 0) + 1
BEGIN SELECT RAISE(ABORT, 'the feed is written with each change of a tenant, not by hand'); END;

-- Whether somebody is alone is asked with each change, however many have gone before.
CREATE INDEX tenants_open ON tenants (id) WHERE status <> 'closed';

-- The name of a license at its source is short enough for every database's index.
CREATE TRIGGER licenses_have_a_short_source_ref BEFORE INSERT ON licenses
WHEN length(NEW.source_ref) NOT BETWEEN 1 AND 256
BEGIN SELECT RAISE(ABORT, 'source_ref has 1 to 256 characters'); END;
