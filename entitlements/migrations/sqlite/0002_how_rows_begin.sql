-- Nobody begins closed: a tenant that has ended has been one first.
CREATE TRIGGER tenants_begin_open BEFORE INSERT ON tenants WHEN NEW.status = 'closed'
BEGIN SELECT RAISE(ABORT, 'a tenant does not begin closed'); END;

-- An entry of the feed out of its order would never be read.
CREATE TRIGGER changes_have_no_gaps AFTER INSERT ON changes
WHEN NEW.seq <> COALESCE((SELECT max(seq) FROM changes WHERE seq < NEW.seq), 0) + 1
BEGIN SELECT RAISE(ABORT, 'the feed is written with each change of a tenant, not by hand'); END;

-- Whether somebody is alone is asked with each change, however many have gone before.
CREATE INDEX tenants_open ON tenants (id) WHERE status <> 'closed';
