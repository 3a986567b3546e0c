//! A SQLite store with something in every column that is copied.

use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{Context, SHA256};
use entitlements::store::{Actor, AuditEntry, Change, Organization, Store};
use entitlements::testing::{PLANS, license};
use entitlements::{
    Catalog, Effect, License, LicenseKind, LicenseSource, Override, Pin, TenantId, TenantStatus,
    parse_time,
};
use sqlx::{AssertSqlSafe, Connection, Executor, SqliteConnection};

pub(crate) fn id(text: &str) -> TenantId {
    text.parse().expect("it is a tenant id")
}

pub(crate) fn start() -> SystemTime {
    parse_time("2026-11-22T12:00:00.123456Z").expect("it is a time")
}

/// Something of everything that a change can bring, with a history.
pub(crate) async fn lived_in(store: &dyn Store) {
    let plans = Catalog::parse(PLANS).expect("the shipped plans are right");
    let old = Catalog::parse(&PLANS.replacen("7d", "8d", 1)).expect("it is right, too");
    let by = Actor::person("süe");
    for catalog in [&old, &plans] {
        store.publish(catalog, &by, start()).await.expect("it is published");
    }
    let organization = |name: &str| Organization {
        issuer: "https://id.test/oidc".to_owned(),
        id: name.to_owned(),
    };
    let add = |name: &str| Change::AddTenant {
        id: id(name),
        name: format!("{name} — Größe 'n' \"Co\""),
        organizations: vec![organization(&format!("org_{name}"))],
    };
    let exception = |name: &str, end: Option<u64>| Override {
        id: name.to_owned(),
        feature: "exchange_replay".parse().expect("it is a feature"),
        effect: Effect::Raise("yes".to_owned()),
        starts_at: start(),
        ends_at: end.map(|seconds| start() + Duration::from_secs(seconds)),
        reason: "a promise".to_owned(),
        ticket: Some("ACME-7".to_owned()),
        created_by: "süe".to_owned(),
        revoked_at: None,
    };
    let why = || "unpaid".to_owned();
    let pin = Some(Pin { digest: old.digest().to_owned(), catalog: None });
    let changes = [
        add("acme"),
        add("globex"),
        add("gone"),
        Change::GrantLicense {
            tenant: id("acme"),
            license: License {
                pin,
                source: LicenseSource::Billing,
                source_ref: Some("sub_1".to_owned()),
                ends_at: Some(start() + Duration::from_hours(1000)),
                grace: Duration::from_hours(24),
                ..license("lic_1", "mid")
            },
        },
        Change::GrantLicense {
            tenant: id("acme"),
            license: License {
                kind: LicenseKind::Trial,
                ends_at: Some(start() + Duration::from_hours(1)),
                ..license("lic_2", "high")
            },
        },
        Change::GrantLicense { tenant: id("globex"), license: license("lic_3", "business") },
        Change::SuspendLicense { license: "lic_3".to_owned(), reason: why() },
        Change::RevokeLicense { license: "lic_2".to_owned(), reason: why() },
        // The revoked one overlaps with the one that took its place, and comes after it by id.
        Change::AddOverride { tenant: id("acme"), exception: exception("ovr_b", Some(10)) },
        Change::RevokeOverride { id: "ovr_b".to_owned(), reason: "over".to_owned() },
        Change::AddOverride { tenant: id("acme"), exception: exception("ovr_a", None) },
        Change::UnmapOrganization { organization: organization("org_gone") },
        Change::SetTenantStatus {
            tenant: id("gone"),
            status: TenantStatus::Closed,
            reason: Some(why()),
        },
    ];
    for (second, change) in (0..).zip(&changes) {
        let at = start() + Duration::from_secs(second);
        store.apply(change, &by, at).await.expect("it is applied");
    }
}

/// What no change writes yet, by hand: a license with its document, an audit entry with its request,
/// and an anchor.
pub(crate) async fn rare_columns(store: &dyn Store, url: &str) {
    let log = store.audit(0, 1000).await.expect("it answers");
    let last = log.last().expect("there is a history");
    let entry = entry_after(last);
    let (before, after) = (last.hash_in_hex(), entry.hash_in_hex());
    let statements = format!(
        "INSERT INTO licenses (id, tenant_id, kind, plan, starts_at, source, source_ref, signed_doc, key_id,
                               created_at, created_by)
             VALUES ('lic_file', 'acme', 'base', 'mid', 0, 'file', 'file_1', x'00ff0a00', 'key — 1', 0, 'süe');
         INSERT INTO audit_log VALUES ({seq}, 7, 'billing', 'service', 'acme', 'license.import', 'lic_file',
                                       '{{}}', '{{\"ü\":1}}', 'a file', 'req — 1', x'{before}', x'{after}');
         INSERT INTO audit_anchors VALUES (1, x'{after}', 8, 'key — 2', x'0000ff'), (2, x'{before}', 9, 'key', x'01')",
        seq = entry.seq,
    );
    let mut shell = SqliteConnection::connect(url).await.expect("it is there");
    shell.execute(AssertSqlSafe(statements)).await.expect("they are added");
}

/// The entry that is written above, chained as every entry is.
fn entry_after(last: &AuditEntry) -> AuditEntry {
    let mut entry = AuditEntry {
        seq: last.seq + 1,
        at: SystemTime::UNIX_EPOCH + Duration::from_micros(7),
        actor: "billing".to_owned(),
        actor_kind: "service".to_owned(),
        tenant: Some("acme".to_owned()),
        action: "license.import".to_owned(),
        object: "lic_file".to_owned(),
        before: Some("{}".to_owned()),
        after: Some("{\"ü\":1}".to_owned()),
        reason: Some("a file".to_owned()),
        request_id: Some("req — 1".to_owned()),
        prev_hash: last.hash,
        hash: [0; 32],
    };
    let mut context = Context::new(&SHA256);
    context.update(b"entitlements-audit-v1\n");
    context.update(&entry.prev_hash);
    context.update(&entry.seq.to_be_bytes());
    context.update(&7_i64.to_be_bytes());
    let always = [&entry.actor, &entry.actor_kind].map(Some).into_iter();
    let (tenant, request) = (entry.tenant.as_ref(), entry.request_id.as_ref());
    let rest = [tenant, Some(&entry.action), Some(&entry.object), entry.before.as_ref()];
    let fields = always.chain(rest).chain([entry.after.as_ref(), entry.reason.as_ref(), request]);
    for text in fields.flatten() {
        context.update(&[1]);
        context.update(&(text.len() as u64).to_be_bytes());
        context.update(text.as_bytes());
    }
    entry.hash.copy_from_slice(context.finish().as_ref());
    assert!(entry.follows(Some(last)), "it is chained as the others are");
    entry
}
