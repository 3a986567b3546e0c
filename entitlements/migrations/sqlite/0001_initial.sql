-- Tenants, organizations, licenses, overrides, catalogs, the feed of changes and the audit log.
-- Times are microseconds since 1970. What must never happen is refused here, not only in code, and
-- to a plain shell, too: it has foreign keys and recursive triggers off, and its functions may be
-- older. Texts hold no NUL, behind which `length` and `GLOB` do not look. There are no rowids that
-- a row could be replaced by.

-- Which store this is: a copy of another one is not that one.
CREATE TABLE store_identity (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    id  TEXT NOT NULL CHECK (length(id) = 32)
) STRICT;
INSERT INTO store_identity (one, id) VALUES (1, lower(hex(randomblob(16))));

CREATE TABLE tenants (
    id            TEXT PRIMARY KEY
                  CHECK (length(id) BETWEEN 1 AND 63 AND id GLOB '[a-z0-9]*' AND id NOT GLOB '*[^a-z0-9-]*'
                         AND instr(id, char(0)) = 0),
    name          TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 200 AND instr(name, char(0)) = 0),
    status        TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended', 'closed')),
    status_reason TEXT CHECK (instr(status_reason, char(0)) = 0),
    revision      INTEGER NOT NULL DEFAULT 1 CHECK (revision >= 1),
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    CHECK (status = 'active' OR status_reason IS NOT NULL)
) STRICT, WITHOUT ROWID;

-- Two issuers may use one organization id: the pair names the organization.
CREATE TABLE tenant_organizations (
    issuer          TEXT NOT NULL CHECK (length(issuer) BETWEEN 1 AND 2048 AND instr(issuer, char(0)) = 0),
    organization_id TEXT NOT NULL
                    CHECK (length(organization_id) BETWEEN 1 AND 256 AND instr(organization_id, char(0)) = 0),
    tenant_id       TEXT NOT NULL REFERENCES tenants (id),
    created_at      INTEGER NOT NULL,
    PRIMARY KEY (issuer, organization_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX tenant_organizations_by_tenant ON tenant_organizations (tenant_id);

-- Catalogs by what they mean; a license may keep to the one it was sold under.
CREATE TABLE catalogs (
    digest       TEXT PRIMARY KEY
                 CHECK (length(digest) = 64 AND digest NOT GLOB '*[^0-9a-f]*' AND instr(digest, char(0)) = 0),
    name         TEXT NOT NULL CHECK (instr(name, char(0)) = 0),
    body         TEXT NOT NULL CHECK (instr(body, char(0)) = 0),
    published_at INTEGER NOT NULL,
    published_by TEXT NOT NULL CHECK (instr(published_by, char(0)) = 0)
) STRICT, WITHOUT ROWID;
CREATE TABLE current_catalog (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    digest TEXT NOT NULL REFERENCES catalogs (digest)
) STRICT;

-- Periods are half-open: a license holds at starts_at and no longer at ends_at.
CREATE TABLE licenses (
    id             TEXT PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 64 AND instr(id, char(0)) = 0),
    tenant_id      TEXT NOT NULL REFERENCES tenants (id),
    kind           TEXT NOT NULL CHECK (kind IN ('base', 'trial', 'addon')),
    plan           TEXT NOT NULL CHECK (length(plan) BETWEEN 1 AND 63 AND instr(plan, char(0)) = 0),
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
    status_reason  TEXT CHECK (instr(status_reason, char(0)) = 0),
    source         TEXT NOT NULL CHECK (source IN ('manual', 'billing', 'file', 'import')),
    source_ref     TEXT CHECK (instr(source_ref, char(0)) = 0),
    signed_doc     BLOB,
    key_id         TEXT CHECK (instr(key_id, char(0)) = 0),
    created_at     INTEGER NOT NULL,
    created_by     TEXT NOT NULL
                   CHECK (length(trim(created_by, char(9, 10, 11, 12, 13, 32))) > 0 AND instr(created_by, char(0)) = 0),
    CHECK (ends_at IS NULL OR ends_at > starts_at),
    CHECK (kind <> 'trial' OR (grace_s = 0 AND ends_at IS NOT NULL)),
    CHECK (kind = 'addon' OR quantity = 1),
    CHECK (revoked_at IS NULL OR status_reason IS NOT NULL),
    CHECK (suspended_at IS NULL OR status_reason IS NOT NULL),
    CHECK (source <> 'file' OR (signed_doc IS NOT NULL AND key_id IS NOT NULL)),
    UNIQUE (source, source_ref)
) STRICT, WITHOUT ROWID;
CREATE INDEX licenses_by_tenant ON licenses (tenant_id);

CREATE TABLE overrides (
    id         TEXT PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 64 AND instr(id, char(0)) = 0),
    tenant_id  TEXT NOT NULL REFERENCES tenants (id),
    feature    TEXT NOT NULL
               CHECK (length(feature) BETWEEN 1 AND 63 AND feature GLOB '[a-z]*' AND feature NOT GLOB '*[^a-z0-9_]*'
                      AND instr(feature, char(0)) = 0),
    effect     TEXT NOT NULL CHECK (effect IN ('raise', 'set', 'deny')),
    value      TEXT CHECK (instr(value, char(0)) = 0),
    starts_at  INTEGER NOT NULL,
    ends_at    INTEGER,
    permanent  INTEGER NOT NULL DEFAULT 0 CHECK (permanent IN (0, 1)),
    -- At least five characters that are not blank.
    reason     TEXT NOT NULL
               CHECK (length(replace(replace(replace(replace(replace(replace(
                          reason, char(9), ''), char(10), ''), char(11), ''), char(12), ''), char(13), ''), ' ', '')) >= 5
                      AND instr(reason, char(0)) = 0),
    ticket     TEXT CHECK (instr(ticket, char(0)) = 0),
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL
               CHECK (length(trim(created_by, char(9, 10, 11, 12, 13, 32))) > 0 AND instr(created_by, char(0)) = 0),
    revoked_at INTEGER,
    revoked_by TEXT CHECK (instr(revoked_by, char(0)) = 0),
    CHECK ((ends_at IS NULL) = (permanent = 1)),
    CHECK (ends_at IS NULL OR ends_at > starts_at),
    CHECK ((effect = 'deny') = (value IS NULL)),
    CHECK ((revoked_at IS NULL) = (revoked_by IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX overrides_by_tenant ON overrides (tenant_id);

-- The feed: one row for each change of a tenant, in the order of commits (there is one writer). The
-- mark is random: a reader that has seen a place and its mark sees whether history is still the same.
CREATE TABLE changes (
    seq       INTEGER PRIMARY KEY AUTOINCREMENT CHECK (seq > 0),
    tenant_id TEXT NOT NULL,
    revision  INTEGER NOT NULL,
    mark      TEXT NOT NULL DEFAULT (lower(hex(randomblob(16)))),
    at        INTEGER NOT NULL DEFAULT (CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER))
) STRICT;

-- Append-only, each row chained to the one before it.
CREATE TABLE audit_log (
    seq         INTEGER PRIMARY KEY,
    at          INTEGER NOT NULL,
    actor       TEXT NOT NULL CHECK (instr(actor, char(0)) = 0),
    actor_kind  TEXT NOT NULL CHECK (instr(actor_kind, char(0)) = 0),
    tenant_id   TEXT CHECK (instr(tenant_id, char(0)) = 0),
    action      TEXT NOT NULL CHECK (instr(action, char(0)) = 0),
    object      TEXT NOT NULL CHECK (instr(object, char(0)) = 0),
    before_json TEXT CHECK (instr(before_json, char(0)) = 0),
    after_json  TEXT CHECK (instr(after_json, char(0)) = 0),
    reason      TEXT CHECK (instr(reason, char(0)) = 0),
    request_id  TEXT CHECK (instr(request_id, char(0)) = 0),
    prev_hash   BLOB NOT NULL CHECK (length(prev_hash) = 32),
    hash        BLOB NOT NULL UNIQUE CHECK (length(hash) = 32)
) STRICT;
CREATE INDEX audit_log_by_tenant ON audit_log (tenant_id);
CREATE TABLE audit_anchors (
    seq       INTEGER PRIMARY KEY,
    hash      BLOB NOT NULL CHECK (length(hash) = 32),
    at        INTEGER NOT NULL,
    key_id    TEXT NOT NULL CHECK (instr(key_id, char(0)) = 0),
    signature BLOB NOT NULL
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

-- What has been, has been: ids are never used twice, and history is not rewritten. `OR REPLACE`
-- deletes rows without their triggers: what is there already is refused before it comes to that.
CREATE TRIGGER store_identity_once BEFORE INSERT ON store_identity
BEGIN SELECT RAISE(ABORT, 'a store keeps its identity'); END;
CREATE TRIGGER store_identity_stays BEFORE DELETE ON store_identity
BEGIN SELECT RAISE(ABORT, 'a store keeps its identity'); END;
CREATE TRIGGER store_identity_does_not_change BEFORE UPDATE ON store_identity
BEGIN SELECT RAISE(ABORT, 'a store keeps its identity'); END;

CREATE TRIGGER tenants_once BEFORE INSERT ON tenants
WHEN EXISTS (SELECT 1 FROM tenants WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'a tenant''s id is never used twice'); END;
CREATE TRIGGER tenants_stay BEFORE DELETE ON tenants
BEGIN SELECT RAISE(ABORT, 'tenants are closed, never deleted'); END;
CREATE TRIGGER tenants_keep_their_id BEFORE UPDATE OF id ON tenants WHEN NEW.id IS NOT OLD.id
BEGIN SELECT RAISE(ABORT, 'a tenant keeps its id'); END;
CREATE TRIGGER tenants_stay_closed BEFORE UPDATE OF status ON tenants
WHEN OLD.status = 'closed' AND NEW.status <> 'closed'
BEGIN SELECT RAISE(ABORT, 'a closed tenant stays closed'); END;
CREATE TRIGGER revisions_grow BEFORE UPDATE OF revision ON tenants WHEN NEW.revision <= OLD.revision
BEGIN SELECT RAISE(ABORT, 'a revision only grows'); END;

CREATE TRIGGER organizations_once BEFORE INSERT ON tenant_organizations
WHEN EXISTS (SELECT 1 FROM tenant_organizations
             WHERE issuer = NEW.issuer AND organization_id = NEW.organization_id)
BEGIN SELECT RAISE(ABORT, 'the organization is mapped already; unmap it first'); END;
CREATE TRIGGER organizations_keep_their_name BEFORE UPDATE ON tenant_organizations
WHEN NEW.issuer IS NOT OLD.issuer OR NEW.organization_id IS NOT OLD.organization_id
BEGIN SELECT RAISE(ABORT, 'an organization keeps its name; unmap it and map another'); END;
CREATE TRIGGER organizations_have_a_tenant BEFORE INSERT ON tenant_organizations
WHEN NOT EXISTS (SELECT 1 FROM tenants WHERE id = NEW.tenant_id AND status <> 'closed')
BEGIN SELECT RAISE(ABORT, 'there is no such tenant, or it is closed'); END;
CREATE TRIGGER organizations_keep_to_tenants BEFORE UPDATE OF tenant_id ON tenant_organizations
WHEN NOT EXISTS (SELECT 1 FROM tenants WHERE id = NEW.tenant_id AND status <> 'closed')
BEGIN SELECT RAISE(ABORT, 'there is no such tenant, or it is closed'); END;

CREATE TRIGGER catalogs_once BEFORE INSERT ON catalogs
WHEN EXISTS (SELECT 1 FROM catalogs WHERE digest = NEW.digest)
BEGIN SELECT RAISE(ABORT, 'catalogs do not change'); END;
CREATE TRIGGER catalogs_stay BEFORE DELETE ON catalogs
BEGIN SELECT RAISE(ABORT, 'catalogs are kept'); END;
CREATE TRIGGER catalogs_do_not_change BEFORE UPDATE ON catalogs
BEGIN SELECT RAISE(ABORT, 'catalogs do not change'); END;
CREATE TRIGGER current_catalog_is_kept BEFORE INSERT ON current_catalog
WHEN NOT EXISTS (SELECT 1 FROM catalogs WHERE digest = NEW.digest)
BEGIN SELECT RAISE(ABORT, 'the catalog is not stored'); END;
CREATE TRIGGER current_catalog_stays_kept BEFORE UPDATE ON current_catalog
WHEN NOT EXISTS (SELECT 1 FROM catalogs WHERE digest = NEW.digest)
BEGIN SELECT RAISE(ABORT, 'the catalog is not stored'); END;

CREATE TRIGGER current_catalog_stays BEFORE DELETE ON current_catalog
BEGIN SELECT RAISE(ABORT, 'a store keeps its current catalog'); END;

CREATE TRIGGER licenses_once BEFORE INSERT ON licenses
WHEN EXISTS (SELECT 1 FROM licenses WHERE id = NEW.id
             OR (source = NEW.source AND source_ref = NEW.source_ref))
BEGIN SELECT RAISE(ABORT, 'a license is granted once'); END;
CREATE TRIGGER licenses_have_a_tenant BEFORE INSERT ON licenses
WHEN NOT EXISTS (SELECT 1 FROM tenants WHERE id = NEW.tenant_id AND status <> 'closed')
BEGIN SELECT RAISE(ABORT, 'there is no such tenant, or it is closed'); END;
CREATE TRIGGER licenses_pin_what_is_kept BEFORE INSERT ON licenses
WHEN NEW.catalog_digest IS NOT NULL
     AND NOT EXISTS (SELECT 1 FROM catalogs WHERE digest = NEW.catalog_digest)
BEGIN SELECT RAISE(ABORT, 'the pinned catalog is not stored'); END;
CREATE TRIGGER licenses_keep_pins_that_are_kept BEFORE UPDATE OF catalog_digest ON licenses
WHEN NEW.catalog_digest IS NOT NULL
     AND NOT EXISTS (SELECT 1 FROM catalogs WHERE digest = NEW.catalog_digest)
BEGIN SELECT RAISE(ABORT, 'the pinned catalog is not stored'); END;
CREATE TRIGGER licenses_stay BEFORE DELETE ON licenses
BEGIN SELECT RAISE(ABORT, 'licenses are revoked, never deleted'); END;
CREATE TRIGGER licenses_keep_their_tenant BEFORE UPDATE ON licenses
WHEN NEW.id IS NOT OLD.id OR NEW.tenant_id IS NOT OLD.tenant_id
     OR NEW.source IS NOT OLD.source OR NEW.source_ref IS NOT OLD.source_ref
BEGIN SELECT RAISE(ABORT, 'a license keeps its id, tenant and source'); END;
CREATE TRIGGER licenses_stay_revoked BEFORE UPDATE ON licenses WHEN OLD.revoked_at IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'a revoked license stays as it is'); END;

CREATE TRIGGER overrides_once BEFORE INSERT ON overrides
WHEN EXISTS (SELECT 1 FROM overrides WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'an override''s id is never used twice'); END;
CREATE TRIGGER overrides_have_a_tenant BEFORE INSERT ON overrides
WHEN NOT EXISTS (SELECT 1 FROM tenants WHERE id = NEW.tenant_id)
BEGIN SELECT RAISE(ABORT, 'there is no such tenant'); END;
CREATE TRIGGER overrides_stay BEFORE DELETE ON overrides
BEGIN SELECT RAISE(ABORT, 'overrides are revoked, never deleted'); END;
CREATE TRIGGER overrides_keep_their_tenant BEFORE UPDATE ON overrides
WHEN NEW.id IS NOT OLD.id OR NEW.tenant_id IS NOT OLD.tenant_id
BEGIN SELECT RAISE(ABORT, 'an override keeps its id and tenant'); END;
CREATE TRIGGER overrides_stay_revoked BEFORE UPDATE ON overrides WHEN OLD.revoked_at IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'a revoked override stays as it is'); END;
CREATE TRIGGER overrides_do_not_overlap BEFORE INSERT ON overrides
WHEN NEW.revoked_at IS NULL AND EXISTS (
    SELECT 1 FROM overrides o
    WHERE o.tenant_id = NEW.tenant_id AND o.feature = NEW.feature AND o.effect = NEW.effect
      AND o.revoked_at IS NULL
      AND o.starts_at < COALESCE(NEW.ends_at, 9223372036854775807)
      AND NEW.starts_at < COALESCE(o.ends_at, 9223372036854775807))
BEGIN SELECT RAISE(ABORT, 'an override with this effect is in force in that time; revoke it first'); END;
CREATE TRIGGER overrides_stay_apart BEFORE UPDATE ON overrides
WHEN NEW.revoked_at IS NULL AND EXISTS (
    SELECT 1 FROM overrides o
    WHERE o.tenant_id = NEW.tenant_id AND o.feature = NEW.feature AND o.effect = NEW.effect
      AND o.id <> OLD.id AND o.revoked_at IS NULL
      AND o.starts_at < COALESCE(NEW.ends_at, 9223372036854775807)
      AND NEW.starts_at < COALESCE(o.ends_at, 9223372036854775807))
BEGIN SELECT RAISE(ABORT, 'an override with this effect is in force in that time; revoke it first'); END;

CREATE TRIGGER changes_once BEFORE INSERT ON changes
WHEN EXISTS (SELECT 1 FROM changes WHERE seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'the feed is not rewritten'); END;
CREATE TRIGGER changes_do_not_change BEFORE UPDATE ON changes
BEGIN SELECT RAISE(ABORT, 'the feed is not rewritten'); END;
CREATE TRIGGER changes_stay BEFORE DELETE ON changes
BEGIN SELECT RAISE(ABORT, 'the feed is not rewritten'); END;

CREATE TRIGGER audit_is_not_rewritten BEFORE UPDATE ON audit_log
BEGIN SELECT RAISE(ABORT, 'audit_log is append-only'); END;
CREATE TRIGGER audit_is_not_shortened BEFORE DELETE ON audit_log
BEGIN SELECT RAISE(ABORT, 'audit_log is append-only'); END;
CREATE TRIGGER audit_is_chained BEFORE INSERT ON audit_log BEGIN
    SELECT CASE WHEN NEW.seq <> COALESCE((SELECT max(seq) FROM audit_log), 0) + 1
        THEN RAISE(ABORT, 'audit_log has a gap') END;
    SELECT CASE WHEN NEW.prev_hash <> COALESCE((SELECT hash FROM audit_log ORDER BY seq DESC LIMIT 1), zeroblob(32))
        THEN RAISE(ABORT, 'audit_log is not chained') END;
    SELECT CASE WHEN EXISTS (SELECT 1 FROM audit_log WHERE hash = NEW.hash)
        THEN RAISE(ABORT, 'audit_log has this entry already') END;
END;
CREATE TRIGGER anchors_once BEFORE INSERT ON audit_anchors
WHEN EXISTS (SELECT 1 FROM audit_anchors WHERE seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'audit_anchors is append-only'); END;
CREATE TRIGGER anchors_are_not_rewritten BEFORE UPDATE ON audit_anchors
BEGIN SELECT RAISE(ABORT, 'audit_anchors is append-only'); END;
CREATE TRIGGER anchors_stay BEFORE DELETE ON audit_anchors
BEGIN SELECT RAISE(ABORT, 'audit_anchors is append-only'); END;
