-- Tenants, organizations, licenses, overrides, catalogs, the feed of changes and the audit log.
-- Times are microseconds since 1970. What must never happen is refused here, not only in code.

CREATE TABLE tenants (
    id            TEXT PRIMARY KEY
                  CHECK (length(id) BETWEEN 1 AND 63 AND id GLOB '[a-z0-9]*' AND id NOT GLOB '*[^a-z0-9-]*'),
    name          TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    status        TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended', 'closed')),
    status_reason TEXT,
    revision      INTEGER NOT NULL DEFAULT 1 CHECK (revision >= 1),
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    CHECK (status = 'active' OR status_reason IS NOT NULL)
) STRICT;

-- Two issuers may use one organization id: the pair names the organization.
CREATE TABLE tenant_organizations (
    issuer          TEXT NOT NULL CHECK (length(issuer) BETWEEN 1 AND 2048),
    organization_id TEXT NOT NULL CHECK (length(organization_id) BETWEEN 1 AND 256),
    tenant_id       TEXT NOT NULL REFERENCES tenants (id),
    created_at      INTEGER NOT NULL,
    PRIMARY KEY (issuer, organization_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX tenant_organizations_by_tenant ON tenant_organizations (tenant_id);

-- Catalogs by what they mean; a license may keep to the one it was sold under.
CREATE TABLE catalogs (
    digest       TEXT PRIMARY KEY CHECK (length(digest) = 64 AND digest NOT GLOB '*[^0-9a-f]*'),
    name         TEXT NOT NULL,
    body         TEXT NOT NULL,
    published_at INTEGER NOT NULL,
    published_by TEXT NOT NULL
) STRICT;
CREATE TABLE current_catalog (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    digest TEXT NOT NULL REFERENCES catalogs (digest)
) STRICT;

CREATE TABLE licenses (
    id             TEXT PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 64),
    tenant_id      TEXT NOT NULL REFERENCES tenants (id),
    kind           TEXT NOT NULL CHECK (kind IN ('base', 'trial', 'addon')),
    plan           TEXT NOT NULL CHECK (length(plan) BETWEEN 1 AND 63),
    catalog_digest TEXT REFERENCES catalogs (digest),
    quantity       INTEGER NOT NULL DEFAULT 1 CHECK (quantity BETWEEN 1 AND 4294967295),
    starts_at      INTEGER NOT NULL,
    ends_at        INTEGER,
    grace_s        INTEGER NOT NULL DEFAULT 0 CHECK (grace_s >= 0),
    suspended_at   INTEGER,
    revoked_at     INTEGER,
    status         TEXT NOT NULL GENERATED ALWAYS AS (
                       CASE WHEN revoked_at IS NOT NULL THEN 'revoked'
                            WHEN suspended_at IS NOT NULL THEN 'suspended'
                            ELSE 'active' END) VIRTUAL,
    status_reason  TEXT,
    source         TEXT NOT NULL CHECK (source IN ('manual', 'billing', 'file', 'import')),
    source_ref     TEXT,
    signed_doc     BLOB,
    key_id         TEXT,
    created_at     INTEGER NOT NULL,
    created_by     TEXT NOT NULL CHECK (length(trim(created_by)) > 0),
    CHECK (ends_at IS NULL OR ends_at > starts_at),
    CHECK (kind <> 'trial' OR (grace_s = 0 AND ends_at IS NOT NULL)),
    CHECK (kind = 'addon' OR quantity = 1),
    CHECK (revoked_at IS NULL OR status_reason IS NOT NULL),
    CHECK (suspended_at IS NULL OR status_reason IS NOT NULL),
    CHECK (source <> 'file' OR (signed_doc IS NOT NULL AND key_id IS NOT NULL)),
    UNIQUE (source, source_ref)
) STRICT;
CREATE INDEX licenses_by_tenant ON licenses (tenant_id);

CREATE TABLE overrides (
    id         TEXT PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 64),
    tenant_id  TEXT NOT NULL REFERENCES tenants (id),
    feature    TEXT NOT NULL
               CHECK (length(feature) BETWEEN 1 AND 63 AND feature GLOB '[a-z]*' AND feature NOT GLOB '*[^a-z0-9_]*'),
    effect     TEXT NOT NULL CHECK (effect IN ('raise', 'set', 'deny')),
    value      TEXT,
    starts_at  INTEGER NOT NULL,
    ends_at    INTEGER,
    permanent  INTEGER NOT NULL DEFAULT 0 CHECK (permanent IN (0, 1)),
    reason     TEXT NOT NULL CHECK (length(trim(reason)) >= 5),
    ticket     TEXT,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL CHECK (length(trim(created_by)) > 0),
    revoked_at INTEGER,
    revoked_by TEXT,
    CHECK ((ends_at IS NULL) = (permanent = 1)),
    CHECK (ends_at IS NULL OR ends_at > starts_at),
    CHECK ((effect = 'deny') = (value IS NULL)),
    CHECK ((revoked_at IS NULL) = (revoked_by IS NULL))
) STRICT;
CREATE INDEX overrides_by_tenant ON overrides (tenant_id);

CREATE TRIGGER overrides_do_not_overlap BEFORE INSERT ON overrides WHEN EXISTS (
    SELECT 1 FROM overrides o
    WHERE o.tenant_id = NEW.tenant_id AND o.feature = NEW.feature AND o.effect = NEW.effect
      AND o.revoked_at IS NULL
      AND o.starts_at < COALESCE(NEW.ends_at, 9223372036854775807)
      AND NEW.starts_at < COALESCE(o.ends_at, 9223372036854775807))
BEGIN SELECT RAISE(ABORT, 'an override with this effect is in force in that time; revoke it first'); END;

-- The feed: one row for each change of a tenant, in the order of commits (there is one writer).
CREATE TABLE changes (
    seq       INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant_id TEXT NOT NULL,
    revision  INTEGER NOT NULL,
    at        INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000000 AS INTEGER))
) STRICT;

-- Every change of a tenant's rows grows its revision, whoever makes it; every growth is in the feed.
CREATE TRIGGER tenants_inserted AFTER INSERT ON tenants
BEGIN INSERT INTO changes (tenant_id, revision) VALUES (NEW.id, NEW.revision); END;
CREATE TRIGGER tenants_updated AFTER UPDATE OF name, status, status_reason ON tenants
BEGIN UPDATE tenants SET revision = revision + 1 WHERE id = NEW.id; END;
CREATE TRIGGER tenants_revised AFTER UPDATE OF revision ON tenants
BEGIN INSERT INTO changes (tenant_id, revision) VALUES (NEW.id, NEW.revision); END;
CREATE TRIGGER organizations_inserted AFTER INSERT ON tenant_organizations
BEGIN UPDATE tenants SET revision = revision + 1 WHERE id = NEW.tenant_id; END;
CREATE TRIGGER organizations_updated AFTER UPDATE ON tenant_organizations
BEGIN UPDATE tenants SET revision = revision + 1 WHERE id IN (OLD.tenant_id, NEW.tenant_id); END;
CREATE TRIGGER organizations_deleted AFTER DELETE ON tenant_organizations
BEGIN UPDATE tenants SET revision = revision + 1 WHERE id = OLD.tenant_id; END;
CREATE TRIGGER licenses_inserted AFTER INSERT ON licenses
BEGIN UPDATE tenants SET revision = revision + 1 WHERE id = NEW.tenant_id; END;
CREATE TRIGGER licenses_updated AFTER UPDATE ON licenses
BEGIN UPDATE tenants SET revision = revision + 1 WHERE id = NEW.tenant_id; END;
CREATE TRIGGER overrides_inserted AFTER INSERT ON overrides
BEGIN UPDATE tenants SET revision = revision + 1 WHERE id = NEW.tenant_id; END;
CREATE TRIGGER overrides_updated AFTER UPDATE ON overrides
BEGIN UPDATE tenants SET revision = revision + 1 WHERE id = NEW.tenant_id; END;

-- What has been, has been: ids are never used twice, and history is not rewritten.
CREATE TRIGGER tenants_stay BEFORE DELETE ON tenants
BEGIN SELECT RAISE(ABORT, 'tenants are closed, never deleted'); END;
CREATE TRIGGER tenants_keep_their_id BEFORE UPDATE OF id ON tenants WHEN NEW.id IS NOT OLD.id
BEGIN SELECT RAISE(ABORT, 'a tenant keeps its id'); END;
CREATE TRIGGER tenants_stay_closed BEFORE UPDATE OF status ON tenants
WHEN OLD.status = 'closed' AND NEW.status <> 'closed'
BEGIN SELECT RAISE(ABORT, 'a closed tenant stays closed'); END;
CREATE TRIGGER revisions_grow BEFORE UPDATE OF revision ON tenants WHEN NEW.revision <= OLD.revision
BEGIN SELECT RAISE(ABORT, 'a revision only grows'); END;
CREATE TRIGGER licenses_stay BEFORE DELETE ON licenses
BEGIN SELECT RAISE(ABORT, 'licenses are revoked, never deleted'); END;
CREATE TRIGGER licenses_keep_their_tenant BEFORE UPDATE OF id, tenant_id ON licenses
WHEN NEW.id IS NOT OLD.id OR NEW.tenant_id IS NOT OLD.tenant_id
BEGIN SELECT RAISE(ABORT, 'a license keeps its id and tenant'); END;
CREATE TRIGGER licenses_stay_revoked BEFORE UPDATE OF revoked_at ON licenses
WHEN OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS NOT OLD.revoked_at
BEGIN SELECT RAISE(ABORT, 'a revoked license stays revoked'); END;
CREATE TRIGGER overrides_stay BEFORE DELETE ON overrides
BEGIN SELECT RAISE(ABORT, 'overrides are revoked, never deleted'); END;
CREATE TRIGGER catalogs_stay BEFORE DELETE ON catalogs
BEGIN SELECT RAISE(ABORT, 'catalogs are kept'); END;
CREATE TRIGGER catalogs_do_not_change BEFORE UPDATE ON catalogs
BEGIN SELECT RAISE(ABORT, 'catalogs do not change'); END;

-- Append-only, each row chained to the one before it.
CREATE TABLE audit_log (
    seq         INTEGER PRIMARY KEY,
    at          INTEGER NOT NULL,
    actor       TEXT NOT NULL,
    actor_kind  TEXT NOT NULL,
    tenant_id   TEXT,
    action      TEXT NOT NULL,
    object      TEXT NOT NULL,
    before_json TEXT,
    after_json  TEXT,
    reason      TEXT,
    request_id  TEXT,
    prev_hash   BLOB NOT NULL CHECK (length(prev_hash) = 32),
    hash        BLOB NOT NULL UNIQUE CHECK (length(hash) = 32)
) STRICT;
CREATE INDEX audit_log_by_tenant ON audit_log (tenant_id);
CREATE TRIGGER audit_is_not_rewritten BEFORE UPDATE ON audit_log
BEGIN SELECT RAISE(ABORT, 'audit_log is append-only'); END;
CREATE TRIGGER audit_is_not_shortened BEFORE DELETE ON audit_log
BEGIN SELECT RAISE(ABORT, 'audit_log is append-only'); END;
CREATE TRIGGER audit_is_chained BEFORE INSERT ON audit_log BEGIN
    SELECT CASE WHEN NEW.seq <> COALESCE((SELECT max(seq) FROM audit_log), 0) + 1
        THEN RAISE(ABORT, 'audit_log has a gap') END;
    SELECT CASE WHEN NEW.prev_hash <> COALESCE((SELECT hash FROM audit_log ORDER BY seq DESC LIMIT 1), zeroblob(32))
        THEN RAISE(ABORT, 'audit_log is not chained') END;
END;
CREATE TABLE audit_anchors (
    seq       INTEGER PRIMARY KEY,
    hash      BLOB NOT NULL CHECK (length(hash) = 32),
    at        INTEGER NOT NULL,
    key_id    TEXT NOT NULL,
    signature BLOB NOT NULL
) STRICT;
