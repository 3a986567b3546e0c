-- Tenants, organizations, licenses, overrides, catalogs, the feed of changes and the audit log.
-- Times are microseconds since 1970. What must never happen is refused here, not only in code.
-- Names compare byte by byte (COLLATE "C"), so that what looks alike is not the same, and the
-- order is the same on every server.

-- Which store this is: a copy of another one is not that one.
CREATE TABLE store_identity (
    one BIGINT PRIMARY KEY CHECK (one = 1),
    id  TEXT COLLATE "C" NOT NULL CHECK (length(id) = 32)
);
INSERT INTO store_identity (one, id) VALUES (1, replace(gen_random_uuid()::TEXT, '-', ''));

CREATE TABLE tenants (
    id            TEXT COLLATE "C" PRIMARY KEY CHECK (id ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    name          TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    status        TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended', 'closed')),
    status_reason TEXT,
    revision      BIGINT NOT NULL DEFAULT 1 CHECK (revision >= 1),
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    CHECK (status = 'active' OR status_reason IS NOT NULL)
);

-- Two issuers may use one organization id: the pair names the organization.
CREATE TABLE tenant_organizations (
    issuer          TEXT COLLATE "C" NOT NULL CHECK (length(issuer) BETWEEN 1 AND 2048),
    organization_id TEXT COLLATE "C" NOT NULL CHECK (length(organization_id) BETWEEN 1 AND 256),
    tenant_id       TEXT COLLATE "C" NOT NULL REFERENCES tenants (id),
    created_at      BIGINT NOT NULL,
    PRIMARY KEY (issuer, organization_id)
);
CREATE INDEX tenant_organizations_by_tenant ON tenant_organizations (tenant_id);

-- Catalogs by what they mean; a license may keep to the one it was sold under.
CREATE TABLE catalogs (
    digest       TEXT COLLATE "C" PRIMARY KEY CHECK (digest ~ '^[0-9a-f]{64}$'),
    name         TEXT NOT NULL,
    body         TEXT NOT NULL,
    published_at BIGINT NOT NULL,
    published_by TEXT NOT NULL
);
-- The name is a word of SQL and stands in quotes everywhere.
CREATE TABLE "current_catalog" (
    one    BIGINT PRIMARY KEY CHECK (one = 1),
    digest TEXT COLLATE "C" NOT NULL REFERENCES catalogs (digest)
);

-- Periods are half-open: a license holds at starts_at and no longer at ends_at.
CREATE TABLE licenses (
    id             TEXT COLLATE "C" PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 64),
    tenant_id      TEXT COLLATE "C" NOT NULL REFERENCES tenants (id),
    kind           TEXT NOT NULL CHECK (kind IN ('base', 'trial', 'addon')),
    plan           TEXT NOT NULL CHECK (length(plan) BETWEEN 1 AND 63),
    catalog_digest TEXT COLLATE "C" REFERENCES catalogs (digest),
    quantity       BIGINT NOT NULL DEFAULT 1 CHECK (quantity BETWEEN 1 AND 4294967295),
    starts_at      BIGINT NOT NULL,
    ends_at        BIGINT,
    grace_s        BIGINT NOT NULL DEFAULT 0 CHECK (grace_s >= 0),
    suspended_at   BIGINT,
    revoked_at     BIGINT,
    status         TEXT NOT NULL GENERATED ALWAYS AS (
                       CASE WHEN revoked_at IS NOT NULL THEN 'revoked'
                            WHEN suspended_at IS NOT NULL THEN 'suspended'
                            ELSE 'active' END) STORED,
    status_reason  TEXT,
    source         TEXT NOT NULL CHECK (source IN ('manual', 'billing', 'file', 'import')),
    source_ref     TEXT COLLATE "C",
    signed_doc     BYTEA,
    key_id         TEXT,
    created_at     BIGINT NOT NULL,
    created_by     TEXT NOT NULL CHECK (length(btrim(created_by, E' \t\n\x0b\f\r')) > 0),
    CHECK (ends_at IS NULL OR ends_at > starts_at),
    CHECK (kind <> 'trial' OR (grace_s = 0 AND ends_at IS NOT NULL)),
    CHECK (kind = 'addon' OR quantity = 1),
    CHECK (revoked_at IS NULL OR status_reason IS NOT NULL),
    CHECK (suspended_at IS NULL OR status_reason IS NOT NULL),
    CHECK (source <> 'file' OR (signed_doc IS NOT NULL AND key_id IS NOT NULL)),
    UNIQUE (source, source_ref)
);
CREATE INDEX licenses_by_tenant ON licenses (tenant_id);

CREATE TABLE overrides (
    id         TEXT COLLATE "C" PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 64),
    tenant_id  TEXT COLLATE "C" NOT NULL REFERENCES tenants (id),
    feature    TEXT COLLATE "C" NOT NULL CHECK (feature ~ '^[a-z][a-z0-9_]{0,62}$'),
    effect     TEXT NOT NULL CHECK (effect IN ('raise', 'set', 'deny')),
    value      TEXT,
    starts_at  BIGINT NOT NULL,
    ends_at    BIGINT,
    permanent  BIGINT NOT NULL DEFAULT 0 CHECK (permanent IN (0, 1)),
    -- At least five characters that are not blank.
    reason     TEXT NOT NULL CHECK (length(translate(reason, E' \t\n\x0b\f\r', '')) >= 5),
    ticket     TEXT,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL CHECK (length(btrim(created_by, E' \t\n\x0b\f\r')) > 0),
    revoked_at BIGINT,
    revoked_by TEXT,
    CHECK ((ends_at IS NULL) = (permanent = 1)),
    CHECK (ends_at IS NULL OR ends_at > starts_at),
    CHECK ((effect = 'deny') = (value IS NULL)),
    CHECK ((revoked_at IS NULL) = (revoked_by IS NULL))
);
CREATE INDEX overrides_by_tenant ON overrides (tenant_id);

-- The feed: one row for each change of a tenant, in the order of commits. The mark is random: a
-- reader that has seen a place and its mark sees whether history is still the same.
CREATE TABLE changes (
    seq       BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id TEXT COLLATE "C" NOT NULL,
    revision  BIGINT NOT NULL,
    mark      TEXT COLLATE "C" NOT NULL DEFAULT replace(gen_random_uuid()::TEXT, '-', ''),
    at        BIGINT NOT NULL DEFAULT (extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT
);

-- Append-only, each row chained to the one before it.
CREATE TABLE audit_log (
    seq         BIGINT PRIMARY KEY,
    at          BIGINT NOT NULL,
    actor       TEXT NOT NULL,
    actor_kind  TEXT NOT NULL,
    tenant_id   TEXT COLLATE "C",
    action      TEXT NOT NULL,
    object      TEXT NOT NULL,
    before_json TEXT,
    after_json  TEXT,
    reason      TEXT,
    request_id  TEXT,
    prev_hash   BYTEA NOT NULL CHECK (octet_length(prev_hash) = 32),
    hash        BYTEA NOT NULL UNIQUE CHECK (octet_length(hash) = 32)
);
CREATE INDEX audit_log_by_tenant ON audit_log (tenant_id);
CREATE TABLE audit_anchors (
    seq       BIGINT PRIMARY KEY,
    hash      BYTEA NOT NULL CHECK (octet_length(hash) = 32),
    at        BIGINT NOT NULL,
    key_id    TEXT NOT NULL,
    signature BYTEA NOT NULL
);

-- One writer at a time, whoever it is, until its commit: a number drawn from the feed is then
-- never overtaken by a smaller one that commits later. The lock comes before any row is locked,
-- so that two writers cannot wait for each other.
CREATE FUNCTION one_writer() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(4711);
    RETURN NULL;
END $$;

-- Every change of a tenant's rows grows its revision, whoever makes it.
CREATE FUNCTION tenant_revised() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        UPDATE tenants SET revision = revision + 1 WHERE id = OLD.tenant_id;
    END IF;
    IF TG_OP = 'INSERT' OR (TG_OP = 'UPDATE' AND NEW.tenant_id <> OLD.tenant_id) THEN
        UPDATE tenants SET revision = revision + 1 WHERE id = NEW.tenant_id;
    END IF;
    RETURN NULL;
END $$;

-- Every growth is in the feed, and wakes those who listen when it is committed.
CREATE FUNCTION feed() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    place BIGINT;
BEGIN
    INSERT INTO changes (tenant_id, revision) VALUES (NEW.id, NEW.revision) RETURNING seq INTO place;
    PERFORM pg_notify('entitlements', place::TEXT);
    RETURN NULL;
END $$;

CREATE FUNCTION tenant_changes() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF NEW.id <> OLD.id THEN
        RAISE EXCEPTION 'a tenant keeps its id' USING ERRCODE = 'restrict_violation';
    END IF;
    IF OLD.status = 'closed' AND NEW.status <> 'closed' THEN
        RAISE EXCEPTION 'a closed tenant stays closed' USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.revision < OLD.revision THEN
        RAISE EXCEPTION 'a revision only grows' USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.revision = OLD.revision
       AND (NEW.name, NEW.status, NEW.status_reason) IS DISTINCT FROM (OLD.name, OLD.status, OLD.status_reason) THEN
        NEW.revision := OLD.revision + 1;
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION license_changes() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF OLD.revoked_at IS NOT NULL THEN
        RAISE EXCEPTION 'a revoked license stays as it is' USING ERRCODE = 'restrict_violation';
    END IF;
    IF (NEW.id, NEW.tenant_id, NEW.source, NEW.source_ref)
       IS DISTINCT FROM (OLD.id, OLD.tenant_id, OLD.source, OLD.source_ref) THEN
        RAISE EXCEPTION 'a license keeps its id, tenant and source' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION override_changes() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF NEW.id <> OLD.id OR NEW.tenant_id <> OLD.tenant_id THEN
        RAISE EXCEPTION 'an override keeps its id and tenant' USING ERRCODE = 'restrict_violation';
    END IF;
    IF OLD.revoked_at IS NOT NULL THEN
        RAISE EXCEPTION 'a revoked override stays as it is' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION overrides_apart() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF NEW.revoked_at IS NULL AND EXISTS (
        SELECT 1 FROM overrides o
        WHERE o.tenant_id = NEW.tenant_id AND o.feature = NEW.feature AND o.effect = NEW.effect
          AND o.id <> NEW.id AND o.revoked_at IS NULL
          AND o.starts_at < COALESCE(NEW.ends_at, 9223372036854775807)
          AND NEW.starts_at < COALESCE(o.ends_at, 9223372036854775807)) THEN
        RAISE EXCEPTION 'an override with this effect is in force in that time; revoke it first'
            USING ERRCODE = 'exclusion_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION tenant_open() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM tenants WHERE id = NEW.tenant_id AND status = 'closed') THEN
        RAISE EXCEPTION 'the tenant is closed' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION organization_changes() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF NEW.issuer <> OLD.issuer OR NEW.organization_id <> OLD.organization_id THEN
        RAISE EXCEPTION 'an organization keeps its name; unmap it and map another'
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION audit_chained() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    last audit_log%ROWTYPE;
BEGIN
    SELECT * INTO last FROM audit_log ORDER BY seq DESC LIMIT 1;
    IF NEW.seq <> COALESCE(last.seq, 0) + 1 THEN
        RAISE EXCEPTION 'audit_log has a gap' USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.prev_hash <> COALESCE(last.hash, decode(repeat('00', 32), 'hex')) THEN
        RAISE EXCEPTION 'audit_log is not chained' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;

-- What has been, has been: the trigger's argument says why.
CREATE FUNCTION never() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER a_one_writer BEFORE INSERT OR UPDATE OR DELETE ON tenants
FOR EACH STATEMENT EXECUTE FUNCTION one_writer();
CREATE TRIGGER a_one_writer BEFORE INSERT OR UPDATE OR DELETE ON tenant_organizations
FOR EACH STATEMENT EXECUTE FUNCTION one_writer();
CREATE TRIGGER a_one_writer BEFORE INSERT OR UPDATE OR DELETE ON licenses
FOR EACH STATEMENT EXECUTE FUNCTION one_writer();
CREATE TRIGGER a_one_writer BEFORE INSERT OR UPDATE OR DELETE ON overrides
FOR EACH STATEMENT EXECUTE FUNCTION one_writer();
CREATE TRIGGER a_one_writer BEFORE INSERT OR UPDATE OR DELETE ON changes
FOR EACH STATEMENT EXECUTE FUNCTION one_writer();
CREATE TRIGGER a_one_writer BEFORE INSERT OR UPDATE OR DELETE ON audit_log
FOR EACH STATEMENT EXECUTE FUNCTION one_writer();

CREATE TRIGGER tenants_checked BEFORE UPDATE ON tenants
FOR EACH ROW EXECUTE FUNCTION tenant_changes();
CREATE TRIGGER tenants_inserted AFTER INSERT ON tenants
FOR EACH ROW EXECUTE FUNCTION feed();
CREATE TRIGGER tenants_revised AFTER UPDATE ON tenants
FOR EACH ROW WHEN (NEW.revision <> OLD.revision) EXECUTE FUNCTION feed();
CREATE TRIGGER organizations_changed AFTER INSERT OR UPDATE OR DELETE ON tenant_organizations
FOR EACH ROW EXECUTE FUNCTION tenant_revised();
CREATE TRIGGER organizations_checked BEFORE UPDATE ON tenant_organizations
FOR EACH ROW EXECUTE FUNCTION organization_changes();
CREATE TRIGGER organizations_are_of_open_tenants BEFORE INSERT OR UPDATE OF tenant_id ON tenant_organizations
FOR EACH ROW EXECUTE FUNCTION tenant_open();
CREATE TRIGGER licenses_are_of_open_tenants BEFORE INSERT ON licenses
FOR EACH ROW EXECUTE FUNCTION tenant_open();
CREATE TRIGGER licenses_checked BEFORE UPDATE ON licenses
FOR EACH ROW EXECUTE FUNCTION license_changes();
CREATE TRIGGER licenses_changed AFTER INSERT OR UPDATE ON licenses
FOR EACH ROW EXECUTE FUNCTION tenant_revised();
CREATE TRIGGER overrides_apart BEFORE INSERT OR UPDATE ON overrides
FOR EACH ROW EXECUTE FUNCTION overrides_apart();
CREATE TRIGGER overrides_checked BEFORE UPDATE ON overrides
FOR EACH ROW EXECUTE FUNCTION override_changes();
CREATE TRIGGER overrides_changed AFTER INSERT OR UPDATE ON overrides
FOR EACH ROW EXECUTE FUNCTION tenant_revised();
CREATE TRIGGER audit_is_chained BEFORE INSERT ON audit_log
FOR EACH ROW EXECUTE FUNCTION audit_chained();

CREATE TRIGGER tenants_stay BEFORE DELETE OR TRUNCATE ON tenants
FOR EACH STATEMENT EXECUTE FUNCTION never('tenants are closed, never deleted');
CREATE TRIGGER organizations_are_unmapped_one_by_one BEFORE TRUNCATE ON tenant_organizations
FOR EACH STATEMENT EXECUTE FUNCTION never('organizations are deleted, so that each is in the feed');
CREATE TRIGGER licenses_stay BEFORE DELETE OR TRUNCATE ON licenses
FOR EACH STATEMENT EXECUTE FUNCTION never('licenses are revoked, never deleted');
CREATE TRIGGER overrides_stay BEFORE DELETE OR TRUNCATE ON overrides
FOR EACH STATEMENT EXECUTE FUNCTION never('overrides are revoked, never deleted');
CREATE TRIGGER catalogs_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON catalogs
FOR EACH STATEMENT EXECUTE FUNCTION never('catalogs are kept, and do not change');
CREATE TRIGGER current_catalog_stays BEFORE DELETE OR TRUNCATE ON "current_catalog"
FOR EACH STATEMENT EXECUTE FUNCTION never('a store keeps its current catalog');
CREATE TRIGGER store_identity_stays BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON store_identity
FOR EACH STATEMENT EXECUTE FUNCTION never('a store keeps its identity');
CREATE TRIGGER changes_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON changes
FOR EACH STATEMENT EXECUTE FUNCTION never('the feed is not rewritten');
CREATE TRIGGER audit_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
FOR EACH STATEMENT EXECUTE FUNCTION never('audit_log is append-only');

CREATE TRIGGER anchors_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_anchors
FOR EACH STATEMENT EXECUTE FUNCTION never('audit_anchors is append-only');

-- The owner could still drop the triggers; whoever runs the service as another role cannot.
REVOKE UPDATE, DELETE, TRUNCATE ON audit_log, audit_anchors, changes FROM PUBLIC;
