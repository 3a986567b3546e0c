//! Changes of every kind, made by an operator with a shell, and how a service is seen to enforce them.

use std::time::Duration;

use entitlements::{EntitlementService, TenantRef};
use sqlx::{AssertSqlSafe, Executor, PgConnection};
use tokio::time::Instant;

const ISSUER: &str = "https://id.test/oidc";

/// Two tenants beside `acme`, and an organization for each.
const BESIDE: &str = "
    INSERT INTO tenants (id, name, created_at, updated_at)
        VALUES ('globex', 'Globex', 0, 0), ('initech', 'Initech', 0, 0);
    INSERT INTO licenses (id, tenant_id, kind, plan, starts_at, source, created_at, created_by)
        SELECT 'lic_' || id, id, 'base', 'low', 0, 'manual', 0, 'sue' FROM tenants WHERE id <> 'acme';
    INSERT INTO tenant_organizations VALUES
        ('https://id.test/oidc', 'org_1', 'acme', 0),
        ('https://id.test/oidc', 'org_2', 'globex', 0),
        ('https://id.test/oidc', 'org_3', 'initech', 0)";

/// One change of each kind at once: a status, a mapping to another tenant and one to nobody, a
/// license, an exception.
const AT_ONCE: &str = "
    BEGIN;
    UPDATE tenants SET status = 'suspended', status_reason = 'unpaid' WHERE id = 'acme';
    UPDATE tenant_organizations SET tenant_id = 'initech' WHERE organization_id = 'org_1';
    DELETE FROM tenant_organizations WHERE organization_id = 'org_3';
    UPDATE licenses SET revoked_at = 1, status_reason = 'unpaid' WHERE tenant_id = 'globex';
    INSERT INTO overrides (id, tenant_id, feature, effect, value, starts_at, permanent, reason, created_at, created_by)
        VALUES ('ovr_new', 'initech', 'exchange_replay', 'raise', 'yes', 0, 1, 'a promise', 0, 'sue');
    COMMIT";

/// Takes back what [`ROUND`] would trip over.
const BACK: &str = "
    BEGIN;
    UPDATE tenants SET status = 'active', status_reason = NULL WHERE id = 'acme';
    UPDATE tenant_organizations SET tenant_id = 'acme' WHERE organization_id = 'org_1';
    INSERT INTO licenses (id, tenant_id, kind, plan, starts_at, source, created_at, created_by)
        VALUES ('lic_again', 'globex', 'base', 'low', 0, 'manual', 0, 'sue');
    COMMIT";

/// Each change, and what `org_1` is told afterwards. The last one leads back to where the first one
/// began; `{n}` is another number each time, because ids are used once.
pub(crate) const ROUND: [(&str, &str); 9] = [
    (
        "UPDATE tenants SET status = 'suspended', status_reason = 'unpaid' WHERE id = 'acme'",
        "acme: tenant_suspended",
    ),
    (
        "UPDATE tenants SET status = 'active', status_reason = NULL WHERE id = 'acme'",
        "acme: active, mid",
    ),
    (
        "INSERT INTO overrides (id, tenant_id, feature, effect, value, starts_at, permanent, reason, created_at, created_by)
         VALUES ('ovr_{n}', 'acme', 'exchange_replay', 'raise', 'yes', 0, 1, 'a promise', 0, 'sue')",
        "acme: active, mid, with replay",
    ),
    (
        "UPDATE overrides SET revoked_at = 1, revoked_by = 'sue'
         WHERE tenant_id = 'acme' AND revoked_at IS NULL",
        "acme: active, mid",
    ),
    (
        "UPDATE licenses SET revoked_at = 1, status_reason = 'unpaid'
         WHERE tenant_id = 'acme' AND revoked_at IS NULL",
        "acme: license_revoked",
    ),
    (
        "INSERT INTO licenses (id, tenant_id, kind, plan, starts_at, source, created_at, created_by)
         VALUES ('lic_{n}', 'acme', 'base', 'mid', 0, 'manual', 0, 'sue')",
        "acme: active, mid",
    ),
    (
        "UPDATE tenant_organizations SET tenant_id = 'globex' WHERE organization_id = 'org_1'",
        "globex: active, low",
    ),
    ("DELETE FROM tenant_organizations WHERE organization_id = 'org_1'", "unknown_tenant"),
    (
        "INSERT INTO tenant_organizations VALUES ('https://id.test/oidc', 'org_1', 'acme', 0)",
        "acme: active, mid",
    ),
];

/// Adds what the changes are about, and waits until the service has all of it at hand.
pub(crate) async fn prepare(shell: &mut PgConnection, service: &EntitlementService) {
    shell.execute(BESIDE).await.expect("they are added");
    enforced(service, "org_1", "acme: active, mid", Duration::from_secs(3)).await;
    enforced(service, "org_2", "globex: active, low", Duration::from_secs(3)).await;
    enforced(service, "org_3", "initech: active, low", Duration::from_secs(3)).await;
}

/// Makes one change of each kind at once.
pub(crate) async fn make_all(shell: &mut PgConnection) {
    shell.execute(AT_ONCE).await.expect("they are made");
}

/// Waits until what [`make_all`] does is enforced, and takes it back.
pub(crate) async fn all_enforced(
    shell: &mut PgConnection,
    service: &EntitlementService,
    within: Duration,
) {
    enforced(service, "org_1", "initech: active, low, with replay", within).await;
    enforced(service, "org_2", "globex: license_revoked", within).await;
    enforced(service, "org_3", "unknown_tenant", within).await;
    shell.execute(BACK).await.expect("they are taken back");
    enforced(service, "org_1", "acme: active, mid", within).await;
    enforced(service, "org_2", "globex: active, low", within).await;
}

/// Makes one of the changes.
pub(crate) async fn make(shell: &mut PgConnection, statement: &str, number: usize) {
    let statement = statement.replace("{n}", &number.to_string());
    let done = shell.execute(AssertSqlSafe(statement.clone())).await.expect(&statement);
    assert_eq!(done.rows_affected(), 1, "{statement}");
}

/// Waits until an organization is told this.
pub(crate) async fn enforced(
    service: &EntitlementService,
    organization: &str,
    expected: &str,
    within: Duration,
) -> Duration {
    let started = Instant::now();
    loop {
        let told = told(service, organization).await;
        if told == expected {
            return started.elapsed();
        }
        assert!(started.elapsed() < within, "{told} instead of {expected} after {within:?}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Whose the organization is, how that tenant stands, and the one feature that is an exception.
async fn told(service: &EntitlementService, organization: &str) -> String {
    let asked = TenantRef::Organization { issuer: ISSUER, organization };
    let set = match service.entitlements(asked).await {
        Ok(set) => set,
        Err(error) => return error.reason().code().to_owned(),
    };
    let tier = set.tier().map(|tier| format!(", {tier}")).unwrap_or_default();
    let replay = set.has(&"exchange_replay".parse().expect("it is a feature"));
    let replay = if replay { ", with replay" } else { "" };
    format!("{}: {}{tier}{replay}", set.tenant(), set.state())
}
