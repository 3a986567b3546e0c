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

/// Every rule of the migrations: its name, and its table.
static ALL: LazyLock<Vec<(&str, &str)>> = LazyLock::new(|| {
    let rule = |text: &'static str| {
        let mut words = text.split_whitespace();
        let name = words.next()?;
        words.find(|word| *word == "ON")?;
        Some((name, words.next()?.trim_matches('"')))
    };
    let texts = MIGRATIONS.iter().flat_map(|it| it.sql.as_str().split("\nCREATE TRIGGER ").skip(1));
    texts.filter_map(rule).collect()
});

/// Selects those of them that are in force. Others, which somebody has added, do not matter.
static IN_FORCE: LazyLock<String> = LazyLock::new(|| {
    let rules = ALL.iter().map(|(name, table)| format!("('{name}', '{table}')"));
    format!(
        "SELECT t.oid FROM pg_trigger t, (VALUES {}) AS rule (name, of_table)
         WHERE t.tgname = rule.name AND t.tgrelid = to_regclass(rule.of_table) AND t.tgenabled <> 'D'",
        rules.collect::<Vec<_>>().join(", ")
    )
});

/// Selects the name of this very database: the store's own, and what a restore makes anew.
pub(super) static IDENTITY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT s.id || '.' || (SELECT COALESCE(max(oid)::TEXT, '') FROM ({}) r) AS id
         FROM store_identity s WHERE s.one = 1",
        *IN_FORCE
    )
});

/// Refuses a database that lacks rules of the schema.
pub(super) async fn whole<'c>(
    connection: impl Executor<'c, Database = Database>,
) -> Result<(), StoreError> {
    static COUNTED: LazyLock<String> =
        LazyLock::new(|| format!("SELECT count(*) FROM ({}) r", *IN_FORCE));
    let there: i64 = sqlx::query_scalar(AssertSqlSafe(COUNTED.as_str()))
        .fetch_one(connection)
        .await
        .map_err(refused)?;
    let all = ALL.len();
    if usize::try_from(there).is_ok_and(|there| there >= all) {
        return Ok(());
    }
    Err(StoreError::Unavailable(format!(
        "{there} of the {all} rules of its schema are in force; it is being restored, or was \
         restored without them"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_of_the_migrations_is_known() {
        let of = |text: &str| text.matches("CREATE TRIGGER ").count();
        let made: usize = MIGRATIONS.iter().map(|it| of(it.sql.as_str())).sum();
        assert_eq!(ALL.len(), made);
        assert!(ALL.contains(&("overrides_changed", "overrides")));
        assert!(ALL.contains(&("current_catalog_stays", "current_catalog")));
    }
}
