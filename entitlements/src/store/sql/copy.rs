//! Every row of a store, read at one moment and written into an empty one.
//!
//! One text for every SQL back end: each compiles it with its own driver.

use sqlx::{AssertSqlSafe, Row as _};

use super::{Connection, Database, Pool, Row, refused, writing};
use crate::store::contents::{Cell, TableContents};
use crate::store::{Contents, Refusal, StoreError};

/// A table with its columns by kind, in the order in which its rows may be inserted.
struct Table {
    name: &'static str,
    order: &'static str,
    columns: &'static [(&'static str, Kind)],
}

#[derive(Clone, Copy)]
enum Kind {
    Integer,
    Text,
    Bytes,
}

use Kind::{Bytes, Integer, Text};

/// All rows, in a transaction that is one snapshot.
pub(super) async fn contents(snapshot: &mut Connection) -> Result<Contents, StoreError> {
    let mut tables = Vec::with_capacity(TABLES.len());
    for table in TABLES {
        let columns: Vec<_> = table.columns.iter().map(|(name, _)| *name).collect();
        let statement = format!(
            "SELECT {} FROM \"{}\" ORDER BY {}",
            columns.join(", "),
            table.name,
            table.order
        );
        let rows = sqlx::query::<Database>(AssertSqlSafe(statement))
            .fetch_all(&mut *snapshot)
            .await
            .map_err(refused)?;
        let rows = rows.iter().map(|row| cells(table, row)).collect::<Result<_, _>>();
        tables.push(TableContents { name: table.name, columns, rows: rows.map_err(refused)? });
    }
    Ok(Contents { tables })
}

/// Writes all rows into an empty store, in one transaction that is kept only if it reads back as
/// it was written.
pub(super) async fn fill(writer: &Pool, contents: &Contents) -> Result<(), StoreError> {
    let mut transaction = writing(writer).await?;
    let found = self::contents(&mut transaction).await?;
    if let Some((table, rows)) = found.counts().find(|(_, rows)| *rows > 0) {
        let message = format!("the store is not empty: `{table}` has {rows} rows; name a new one");
        return Err(Refusal::Forbidden(message).into());
    }
    for (table, given) in TABLES.iter().zip(&contents.tables) {
        let columns: Vec<_> = table.columns.iter().map(|(name, _)| *name).collect();
        let places: Vec<_> = (1..=columns.len()).map(|place| format!("${place}")).collect();
        let statement = format!(
            "INSERT INTO \"{}\" ({}) VALUES ({})",
            table.name,
            columns.join(", "),
            places.join(", ")
        );
        for row in &given.rows {
            let mut query = sqlx::query::<Database>(AssertSqlSafe(statement.clone()));
            for ((column, _), cell) in table.columns.iter().zip(row) {
                query = match cell {
                    // It grows with each row that follows, and is set at the end.
                    Cell::Integer(_) if *column == REVISION => query.bind(1_i64),
                    // A closed tenant gets no rows any more: it is closed at the end.
                    Cell::Text(Some(word)) if *column == STATUS && word == CLOSED => {
                        query.bind("active")
                    }
                    Cell::Integer(number) => query.bind(*number),
                    Cell::Text(text) => query.bind(text.as_deref()),
                    Cell::Bytes(bytes) => query.bind(bytes.as_deref()),
                };
            }
            query.execute(&mut *transaction).await.map_err(refused)?;
        }
    }
    set_revisions(&mut transaction, contents).await?;
    let written = self::contents(&mut transaction).await?;
    let different = contents.differences(&written);
    if !different.is_empty() {
        return Err(StoreError::Corrupt(format!(
            "nothing was copied: these rows do not read back as they were written: `{}`",
            different.join("`, `")
        )));
    }
    transaction.commit().await.map_err(refused)
}

/// A tenant's rows were written at least as often as they are now: its revision is reached by
/// growing.
async fn set_revisions(
    transaction: &mut Connection,
    contents: &Contents,
) -> Result<(), StoreError> {
    let tenants = TABLES.iter().zip(&contents.tables).find(|(table, _)| table.name == TENANTS);
    let Some((table, given)) = tenants else { return Ok(()) };
    for row in &given.rows {
        let mut id = None;
        let mut revision = None;
        let mut closed = false;
        for ((column, _), cell) in table.columns.iter().zip(row) {
            match (*column, cell) {
                ("id", Cell::Text(text)) => id = text.as_deref(),
                (REVISION, Cell::Integer(number)) => revision = *number,
                (STATUS, Cell::Text(word)) => closed = word.as_deref() == Some(CLOSED),
                _ => {}
            }
        }
        if closed {
            sqlx::query("UPDATE tenants SET status = 'closed' WHERE id = $1")
                .bind(id)
                .execute(&mut *transaction)
                .await
                .map_err(refused)?;
        }
        sqlx::query("UPDATE tenants SET revision = $2 WHERE id = $1 AND revision < $2")
            .bind(id)
            .bind(revision)
            .execute(&mut *transaction)
            .await
            .map_err(refused)?;
    }
    Ok(())
}

fn cells(table: &Table, row: &Row) -> Result<Vec<Cell>, sqlx::Error> {
    let cell = |(column, kind): &(&'static str, Kind)| match kind {
        Integer => row.try_get(*column).map(Cell::Integer),
        Text => row.try_get(*column).map(Cell::Text),
        Bytes => row.try_get(*column).map(Cell::Bytes),
    };
    table.columns.iter().map(cell).collect()
}

const TENANTS: &str = "tenants";
const REVISION: &str = "revision";
const STATUS: &str = "status";
const CLOSED: &str = "closed";
/// In the order in which they refer to each other.
const TABLES: &[Table] = &[
    Table {
        name: TENANTS,
        order: "id",
        columns: &[
            ("id", Text),
            ("name", Text),
            (STATUS, Text),
            ("status_reason", Text),
            (REVISION, Integer),
            ("created_at", Integer),
            ("updated_at", Integer),
        ],
    },
    Table {
        name: "tenant_organizations",
        order: "issuer, organization_id",
        columns: &[
            ("issuer", Text),
            ("organization_id", Text),
            ("tenant_id", Text),
            ("created_at", Integer),
        ],
    },
    Table {
        name: "catalogs",
        order: "digest",
        columns: &[
            ("digest", Text),
            ("name", Text),
            ("body", Text),
            ("published_at", Integer),
            ("published_by", Text),
        ],
    },
    Table { name: "current_catalog", order: "one", columns: &[("one", Integer), ("digest", Text)] },
    Table {
        name: "licenses",
        order: "id",
        columns: &[
            ("id", Text),
            ("tenant_id", Text),
            ("kind", Text),
            ("plan", Text),
            ("catalog_digest", Text),
            ("quantity", Integer),
            ("starts_at", Integer),
            ("ends_at", Integer),
            ("grace_s", Integer),
            ("suspended_at", Integer),
            ("revoked_at", Integer),
            ("status_reason", Text),
            ("source", Text),
            ("source_ref", Text),
            ("signed_doc", Bytes),
            ("key_id", Text),
            ("created_at", Integer),
            ("created_by", Text),
        ],
    },
    Table {
        name: "overrides",
        // A revoked one may overlap with one in force, and is no obstacle only if it comes first.
        order: "(revoked_at IS NULL), id",
        columns: &[
            ("id", Text),
            ("tenant_id", Text),
            ("feature", Text),
            ("effect", Text),
            ("value", Text),
            ("starts_at", Integer),
            ("ends_at", Integer),
            ("permanent", Integer),
            ("reason", Text),
            ("ticket", Text),
            ("created_at", Integer),
            ("created_by", Text),
            ("revoked_at", Integer),
            ("revoked_by", Text),
        ],
    },
    Table {
        name: "audit_log",
        order: "seq",
        columns: &[
            ("seq", Integer),
            ("at", Integer),
            ("actor", Text),
            ("actor_kind", Text),
            ("tenant_id", Text),
            ("action", Text),
            ("object", Text),
            ("before_json", Text),
            ("after_json", Text),
            ("reason", Text),
            ("request_id", Text),
            ("prev_hash", Bytes),
            ("hash", Bytes),
        ],
    },
    Table {
        name: "audit_anchors",
        order: "seq",
        columns: &[
            ("seq", Integer),
            ("hash", Bytes),
            ("at", Integer),
            ("key_id", Text),
            ("signature", Bytes),
        ],
    },
];
