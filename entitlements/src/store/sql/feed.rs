//! Reading the feed of changes, and seeing whether it is still the one that was read before.
//!
//! One text for every SQL back end: each compiles it with its own driver.

use sqlx::{AssertSqlSafe, Executor, FromRow};

use super::{Database, IDENTITY};
use crate::model::TenantId;
use crate::store::{Feed, Place};

/// The store, and one entry of its feed, if there is any.
#[derive(FromRow)]
struct Entry {
    id: String,
    seq: Option<i64>,
    tenant_id: Option<String>,
    mark: Option<String>,
}

/// Where the feed ends.
pub(super) async fn end<'c>(
    connection: impl Executor<'c, Database = Database>,
) -> Result<Place, sqlx::Error> {
    let statement = format!(
        "SELECT s.id, c.seq, c.mark FROM ({}) s
         LEFT JOIN (SELECT seq, mark FROM changes ORDER BY seq DESC LIMIT 1) c ON TRUE",
        *IDENTITY
    );
    let (store, seq, mark): (String, Option<i64>, Option<String>) =
        sqlx::query_as(AssertSqlSafe(statement)).fetch_one(connection).await?;
    Ok(Place { store, seq: seq.unwrap_or(0).unsigned_abs(), mark: mark.unwrap_or_default() })
}

/// The changes after a place; the entry at the place itself is read with them, because only it
/// tells whether what came before is still what it was.
pub(super) async fn after<'c>(
    connection: impl Executor<'c, Database = Database>,
    place: &Place,
) -> Result<Feed, sqlx::Error> {
    // The page is cut out first: a planner that sees one join reads, and sorts, all that is left.
    let statement = format!(
        "SELECT s.id, c.seq, c.tenant_id, c.mark FROM ({}) s
         LEFT JOIN (SELECT seq, tenant_id, mark FROM changes WHERE seq >= $1 ORDER BY seq LIMIT $2) c
         ON TRUE ORDER BY c.seq",
        *IDENTITY
    );
    let rows: Vec<Entry> = sqlx::query_as(AssertSqlSafe(statement))
        .bind(i64::try_from(place.seq).unwrap_or(i64::MAX))
        .bind(PAGE + 1)
        .fetch_all(connection)
        .await?;
    let more = i64::try_from(rows.len()).is_ok_and(|read| read > PAGE);
    let mut feed = Feed { position: place.clone(), more, ..Feed::default() };
    let same_store = rows.first().is_some_and(|row| row.id == place.store);
    let mut entries = rows
        .into_iter()
        .filter_map(|row| Some((row.seq?.unsigned_abs(), row.tenant_id?, row.mark?)));
    // Before the first entry there is nothing that could have become something else.
    let same_past = place.seq == 0
        || entries.next().is_some_and(|(seq, _, mark)| seq == place.seq && mark == place.mark);
    if !(same_store && same_past) {
        feed.restarted = true;
        return Ok(feed);
    }
    for (seq, tenant, mark) in entries {
        (feed.position.seq, feed.position.mark) = (seq, mark);
        // The schema lets no other ids in; one that got in anyway cannot be asked for either.
        feed.tenants.extend(tenant.parse::<TenantId>().ok());
    }
    Ok(feed)
}

/// How many changes are told at once.
const PAGE: i64 = 1000;
