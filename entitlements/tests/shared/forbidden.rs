//! What must never happen: one list of statements that every database refuses, also to whoever has
//! a shell.

/// How a database writes 32 equal bytes.
pub(crate) type Bytes = fn(u8) -> String;

const TENANT: &str =
    "INSERT INTO tenants (created_at, updated_at, name, status, status_reason, id) VALUES (0, 0, ";
const LICENSE: &str = "INSERT INTO licenses (source, created_at, created_by, id, tenant_id, kind, plan, starts_at, ends_at, grace_s, quantity) VALUES ('manual', 0, 'sue', ";
const EXCEPTION: &str = "INSERT INTO overrides (feature, created_at, created_by, tenant_id, id, effect, value, starts_at, ends_at, permanent, reason) VALUES ('exchange_replay', 0, 'sue', ";
const ENTRY: &str = "INSERT INTO audit_log (at, actor, actor_kind, action, object, seq, prev_hash, hash) VALUES (0, 'sue', 'person', 'x', 'y', ";
const ANCHOR: &str =
    "INSERT INTO audit_anchors (at, key_id, seq, hash, signature) VALUES (0, 'k', ";

/// Puts into a new store what the others are about.
pub(crate) fn allowed(bytes: Bytes) -> Vec<String> {
    let (zeros, ones, twos) = (bytes(0), bytes(0x11), bytes(0x22));
    let catalog = "0".repeat(64);
    vec![
        format!("{TENANT}'Acme', 'active', NULL, 'acme')"),
        format!("{TENANT}'Globex', 'active', NULL, 'globex')"),
        format!("{TENANT}'Gone', 'active', NULL, 'gone')"),
        "INSERT INTO tenant_organizations VALUES ('https://id.test', 'org_1', 'acme', 0)".into(),
        "INSERT INTO tenant_organizations VALUES ('https://id.test', 'org_2', 'globex', 0)".into(),
        format!("INSERT INTO catalogs VALUES ('{catalog}', 'x', 'x', 0, 'sue')"),
        format!("INSERT INTO \"current_catalog\" VALUES (1, '{catalog}')"),
        format!("{LICENSE}'lic_1', 'acme', 'base', 'mid', 0, NULL, 0, 1)"),
        "UPDATE licenses SET revoked_at = 5, status_reason = 'x' WHERE id = 'lic_1'".into(),
        format!("{LICENSE}'lic_2', 'acme', 'base', 'mid', 0, NULL, 0, 1)"),
        "INSERT INTO licenses (source, source_ref, created_at, created_by, id, tenant_id, kind, plan, starts_at)
         VALUES ('billing', 'sub_1', 0, 'sue', 'lic_3', 'acme', 'base', 'mid', 0)".into(),
        format!("{EXCEPTION}'acme', 'ovr_1', 'deny', NULL, 0, 9, 0, 'because of it')"),
        format!("{EXCEPTION}'acme', 'ovr_2', 'deny', NULL, 9, 20, 0, 'because of it')"),
        format!("{EXCEPTION}'acme', 'ovr_3', 'raise', 'yes', 0, 9, 0, 'because of it')"),
        "UPDATE overrides SET revoked_at = 5, revoked_by = 'sue' WHERE id = 'ovr_3'".into(),
        // What was revoked makes room; what is not in the way of another may be made longer.
        format!("{EXCEPTION}'acme', 'ovr_4', 'raise', 'yes', 0, 9, 0, 'because of it')"),
        "UPDATE overrides SET ends_at = 30 WHERE id = 'ovr_2'".into(),
        format!("{ENTRY}1, {zeros}, {ones})"),
        format!("{ENTRY}2, {ones}, {twos})"),
        format!("{ANCHOR}1, {ones}, {ones})"),
        "UPDATE tenants SET status = 'closed', status_reason = 'x' WHERE id = 'gone'".into(),
    ]
}

/// What none of them lets happen.
#[rustfmt::skip]
pub(crate) fn refused(bytes: Bytes) -> Vec<String> {
    let (zeros, ones, twos, threes) = (bytes(0), bytes(0x11), bytes(0x22), bytes(0x33));
    let unknown = "1".repeat(64);
    let referred = |name: &str| format!("INSERT INTO licenses (source, source_ref, created_at, created_by, id, tenant_id, kind, plan, starts_at)
         VALUES ('billing', '{name}', 0, 'sue', 'lic_9', 'acme', 'base', 'mid', 0)");
    vec![
        // Ids: their form, and that they are used once.
        format!("{TENANT}'x', 'active', NULL, 'Acme')"),
        format!("{TENANT}'x', 'active', NULL, '-acme')"),
        format!("{TENANT}'x', 'active', NULL, 'ac me')"),
        format!("{TENANT}'x', 'active', NULL, 'acme\n')"),
        format!("{TENANT}'x', 'active', NULL, 'äcme')"),
        format!("{TENANT}'x', 'active', NULL, '')"),
        format!("{TENANT}'x', 'active', NULL, '{}')", "a".repeat(64)),
        format!("{TENANT}'x', 'active', NULL, 'acme')"),
        format!("{TENANT}'', 'active', NULL, 'other')"),
        format!("{TENANT}'x', 'gone', 'x', 'other')"),
        format!("{TENANT}'x', 'suspended', NULL, 'other')"),
        format!("{TENANT}'x', 'closed', 'x', 'other')"),
        // Tenants stay.
        "UPDATE tenants SET id = 'other' WHERE id = 'acme'".into(),
        "DELETE FROM tenants WHERE id = 'globex'".into(),
        "UPDATE tenants SET status = 'active' WHERE id = 'gone'".into(),
        "UPDATE tenants SET status = 'suspended' WHERE id = 'acme'".into(),
        "UPDATE tenants SET status = 'gone' WHERE id = 'acme'".into(),
        "UPDATE tenants SET revision = 1 WHERE id = 'acme'".into(),
        // Organizations: one tenant each, known and not closed.
        "INSERT INTO tenant_organizations VALUES ('https://id.test', 'org_1', 'globex', 0)".into(),
        "INSERT INTO tenant_organizations VALUES ('https://id.test', 'org_3', 'nobody', 0)".into(),
        "INSERT INTO tenant_organizations VALUES ('https://id.test', 'org_3', 'gone', 0)".into(),
        "INSERT INTO tenant_organizations VALUES ('', 'org_3', 'acme', 0)".into(),
        "UPDATE tenant_organizations SET tenant_id = 'nobody'".into(),
        "UPDATE tenant_organizations SET tenant_id = 'gone'".into(),
        "UPDATE tenant_organizations SET organization_id = 'org_9' WHERE organization_id = 'org_1'".into(),
        // Licenses: what they say, for whom, and how often.
        format!("{LICENSE}'l', 'nobody', 'base', 'mid', 0, 9, 0, 1)"),
        format!("{LICENSE}'l', 'gone', 'base', 'mid', 0, 9, 0, 1)"),
        format!("{LICENSE}'l', 'acme', 'gift', 'mid', 0, 9, 0, 1)"),
        format!("{LICENSE}'l', 'acme', 'base', 'mid', 9, 9, 0, 1)"),
        format!("{LICENSE}'l', 'acme', 'base', 'mid', 0, 9, -1, 1)"),
        format!("{LICENSE}'l', 'acme', 'base', 'mid', 0, 9, 0, 2)"),
        format!("{LICENSE}'l', 'acme', 'addon', 'pack', 0, 9, 0, 0)"),
        format!("{LICENSE}'l', 'acme', 'trial', 'mid', 0, 9, 1, 1)"),
        format!("{LICENSE}'l', 'acme', 'trial', 'mid', 0, NULL, 0, 1)"),
        format!("{LICENSE}'lic_1', 'acme', 'base', 'mid', 0, 9, 0, 1)"),
        referred("sub_1"),
        "INSERT INTO licenses (source, created_at, created_by, id, tenant_id, kind, plan, starts_at)
         VALUES ('manual', 0, ' \t ', 'lic_9', 'acme', 'base', 'mid', 0)".into(),
        referred(&"x".repeat(257)),
        referred(""),
        format!("UPDATE licenses SET catalog_digest = '{unknown}' WHERE id = 'lic_2'"),
        // A license is not moved, and what is revoked stays as it is.
        "UPDATE licenses SET tenant_id = 'globex' WHERE id = 'lic_2'".into(),
        "UPDATE licenses SET id = 'lic_9' WHERE id = 'lic_2'".into(),
        "UPDATE licenses SET source = 'import' WHERE id = 'lic_3'".into(),
        "UPDATE licenses SET source_ref = 'sub_9' WHERE id = 'lic_3'".into(),
        "UPDATE licenses SET revoked_at = NULL WHERE id = 'lic_1'".into(),
        "UPDATE licenses SET revoked_at = 9 WHERE id = 'lic_1'".into(),
        "UPDATE licenses SET status_reason = 'another' WHERE id = 'lic_1'".into(),
        "UPDATE licenses SET plan = 'high' WHERE id = 'lic_1'".into(),
        "UPDATE licenses SET starts_at = 1 WHERE id = 'lic_1'".into(),
        "DELETE FROM licenses".into(),
        // Overrides: what they say, and for how long.
        format!("{EXCEPTION}'nobody', 'o', 'deny', NULL, 0, 9, 0, 'because of it')"),
        format!("{EXCEPTION}'acme', 'o', 'deny', NULL, 40, NULL, 0, 'because of it')"),
        format!("{EXCEPTION}'acme', 'o', 'deny', NULL, 40, 49, 1, 'because of it')"),
        format!("{EXCEPTION}'acme', 'o', 'deny', 'yes', 40, 49, 0, 'because of it')"),
        format!("{EXCEPTION}'acme', 'o', 'raise', NULL, 40, 49, 0, 'because of it')"),
        format!("{EXCEPTION}'acme', 'o', 'raise', 'yes', 49, 49, 0, 'because of it')"),
        format!("{EXCEPTION}'acme', 'o', 'raise', 'yes', 40, 49, 0, '   no   ')"),
        format!("{EXCEPTION}'acme', 'o', 'raise', 'yes', 40, 49, 0, '\t\t\tno\t\t\t')"),
        format!("{EXCEPTION}'acme', 'o', 'raise', 'yes', 40, 49, 0, 'a \t\n b')"),
        format!("{EXCEPTION}'acme', 'o', 'deny', NULL, 8, 9, 0, 'because of it')"),
        format!("{EXCEPTION}'acme', 'ovr_1', 'deny', NULL, 40, 49, 0, 'because of it')"),
        // An override is not moved, revived, dated anew once revoked, nor made longer into another.
        "UPDATE overrides SET tenant_id = 'globex' WHERE id = 'ovr_1'".into(),
        "UPDATE overrides SET id = 'ovr_9' WHERE id = 'ovr_1'".into(),
        "UPDATE overrides SET revoked_at = NULL, revoked_by = NULL WHERE id = 'ovr_3'".into(),
        "UPDATE overrides SET revoked_at = 9 WHERE id = 'ovr_3'".into(),
        "UPDATE overrides SET ends_at = 99 WHERE id = 'ovr_3'".into(),
        "UPDATE overrides SET reason = 'another one' WHERE id = 'ovr_3'".into(),
        "UPDATE overrides SET ends_at = 15 WHERE id = 'ovr_1'".into(),
        "UPDATE overrides SET ends_at = NULL, permanent = 1 WHERE id = 'ovr_1'".into(),
        "UPDATE overrides SET starts_at = 8 WHERE id = 'ovr_2'".into(),
        "UPDATE overrides SET effect = 'deny', value = NULL WHERE id = 'ovr_4'".into(),
        "DELETE FROM overrides".into(),
        // What was sold stays to be looked up.
        "UPDATE catalogs SET body = 'y'".into(),
        "DELETE FROM catalogs".into(),
        format!("INSERT INTO catalogs VALUES ('{}', 'x', 'y', 0, 'sue')", "0".repeat(64)),
        format!("INSERT INTO catalogs VALUES ('{}', 'x', 'y', 0, 'sue')", "0".repeat(63)),
        format!("UPDATE \"current_catalog\" SET digest = '{unknown}'"),
        "DELETE FROM \"current_catalog\"".into(),
        // What was told and logged stays, and the store stays this one.
        "UPDATE changes SET tenant_id = 'globex'".into(),
        "UPDATE changes SET mark = 'x'".into(),
        "DELETE FROM changes".into(),
        "DELETE FROM audit_log".into(),
        "UPDATE audit_log SET actor = 'mallory'".into(),
        format!("{ENTRY}3, {zeros}, {threes})"),
        format!("{ENTRY}4, {twos}, {threes})"),
        format!("{ENTRY}3, {twos}, {ones})"),
        format!("{ENTRY}2, {ones}, {threes})"),
        format!("{ANCHOR}1, {twos}, {twos})"),
        format!("UPDATE audit_anchors SET hash = {twos}"),
        "DELETE FROM audit_anchors".into(),
        "UPDATE store_identity SET id = '00000000000000000000000000000000'".into(),
        "DELETE FROM store_identity".into(),
        "INSERT INTO store_identity VALUES (1, '00000000000000000000000000000000')".into(),
    ]
}
