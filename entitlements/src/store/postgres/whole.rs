//! Whether the database is all there.
//!
//! A restore brings the rows first, table by table, and the rules of the schema afterwards. In
//! between a tenant may lack its overrides, with the revision that it had with them. So a database
//! without its rules counts as one that does not answer; and because the rules are made anew by a
//! restore, they are a part of its identity: after one, everything is read again.

use std::sync::LazyLock;

use sqlx::{AssertSqlSafe, Executor};

use super::{Database, MIGRATIONS, refused};
use crate::store::StoreError;

/// The rules that are in force on the tables of the schema.
const RULES: &str = "SELECT t.oid FROM pg_trigger t
    WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgrelid IN (
        SELECT to_regclass(name) FROM unnest(ARRAY[
            'tenants', 'tenant_organizations', 'licenses', 'overrides', 'catalogs',
            'current_catalog', 'changes', 'audit_log', 'audit_anchors', 'store_identity'
        ]) AS name)";

/// Selects the name of this very database: the store's own, and what a restore makes anew.
pub(super) static IDENTITY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT s.id || '.' || (SELECT COALESCE(max(oid)::TEXT, '') FROM ({RULES}) r) AS id
         FROM store_identity s WHERE s.one = 1"
    )
});

/// Refuses a database that lacks rules of the schema.
pub(super) async fn whole<'c>(
    connection: impl Executor<'c, Database = Database>,
) -> Result<(), StoreError> {
    static COUNTED: LazyLock<String> =
        LazyLock::new(|| format!("SELECT count(*) FROM ({RULES}) r"));
    let there: i64 = sqlx::query_scalar(AssertSqlSafe(COUNTED.as_str()))
        .fetch_one(connection)
        .await
        .map_err(refused)?;
    let all = *ALL;
    if there >= all {
        return Ok(());
    }
    Err(StoreError::Unavailable(format!(
        "{there} of the {all} rules of its schema are in force; it is being restored, or was \
         restored without them"
    )))
}

/// How many rules the migrations make.
static ALL: LazyLock<i64> = LazyLock::new(|| {
    let of = |text: &str| i64::try_from(text.matches("\nCREATE TRIGGER ").count()).unwrap_or(0);
    MIGRATIONS.iter().map(|migration| of(migration.sql.as_str())).sum()
});
