//! The snapshot of a service: read once before it answers, written as what it holds changes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::Shared;
use crate::model::format_duration;
use crate::snapshot::{self, Shelf, Snapshot, SnapshotError, SnapshotKey};

/// What others want kept beside the rows.
pub(super) type Extras = Box<dyn Fn() -> BTreeMap<String, String> + Send + Sync>;

/// Where the snapshot is.
pub(super) struct Keeper {
    pub(super) path: PathBuf,
    pub(super) key: SnapshotKey,
    /// Where the store is; none if it has no URL.
    pub(super) address: Option<String>,
    pub(super) extras: Option<Extras>,
}

impl Keeper {
    /// Brings what the file holds into a service that knows nothing yet. A file that cannot be used
    /// leaves it so, and the log says why.
    pub(super) fn restore(&self, shared: &mut Shared) {
        let path = self.path.display();
        let found = match self.read(shared) {
            Ok(found) => found,
            Err(SnapshotError::Missing) => {
                info!(%path, "entitlements: there is no snapshot yet");
                return;
            }
            Err(error) => {
                warn!(%path, %error, "entitlements: the snapshot is refused");
                return;
            }
        };
        let (kept, age) = found;
        let snapshot = kept.without_lines();
        shared.restored = snapshot.extras;
        if kept.is_empty() {
            // Then there is nothing to be ready with.
            info!(%path, "entitlements: the snapshot knows no tenant yet");
            return;
        }
        if snapshot.catalog != shared.catalog.digest() {
            info!(%path, "entitlements: the plans have changed since the snapshot; today's count");
        }
        shared.known.put_shelf(Arc::new(kept));
        shared.health.carried = Some(age);
        shared.health.put_place(snapshot.place);
        if let Some(count) = snapshot.tenant_count {
            shared.health.has_counted(count);
        }
        let age = format_duration(age);
        info!(%path, age, "entitlements: answering from the snapshot");
    }

    fn read(&self, shared: &Shared) -> Result<(Shelf, Duration), SnapshotError> {
        let kept = snapshot::open(&self.path, &self.key)?;
        // One key may be that of several installations; the rows of one are no other's.
        if let (Some(here), Some(of)) = (&self.address, kept.without_lines().address)
            && *here != of
        {
            return Err(SnapshotError::Elsewhere { of, here: here.clone() });
        }
        let age = kept.age_at((shared.clock)())?;
        let max_stale = shared.max_stale;
        if age > max_stale {
            return Err(SnapshotError::TooOld { age, max_stale });
        }
        Ok((kept, age))
    }

    /// What the service knows now; none if it knows nothing that may still be used.
    fn take(&self, shared: &Shared) -> Option<Snapshot> {
        if shared.known.has_shelf() {
            return None;
        }
        // INVARIANT: age and position are read before the rows, which may only be newer than they say.
        let age = shared.health.since_last_read()?;
        let place = shared.health.place()?;
        // INVARIANT: rows before organizations: with newer rows, whom an organization names is newer too.
        let (tenants, doubtful) = shared.known.records();
        let age = age.max(doubtful);
        if age > shared.max_stale {
            return None;
        }
        Some(Snapshot {
            written_at: (shared.clock)(),
            age,
            address: self.address.clone(),
            place,
            tenant_count: shared.health.count(),
            catalog: shared.catalog.digest().to_owned(),
            tenants,
            organizations: shared.known.organizations().all(),
            extras: self.extras(),
        })
    }

    fn extras(&self) -> BTreeMap<String, String> {
        self.extras.as_ref().map_or_else(BTreeMap::new, |extras| extras())
    }
}

/// Takes all of the snapshot into the cache, before anybody compares it with the store. It is answered
/// from meanwhile.
pub(super) async fn take_over(shared: &Arc<Shared>) {
    if !shared.known.has_shelf() {
        return;
    }
    let to = Arc::clone(shared);
    let taken =
        tokio::task::spawn_blocking(move || to.known.clear_the_shelf(&to.catalog, (to.clock)()));
    match taken.await {
        Ok(Ok(tenants)) => info!(tenants, "entitlements: all of the snapshot is at hand"),
        Ok(Err(error)) => warn!(%error, "entitlements: a part of the snapshot is left out"),
        // Whatever became of it, from here on the store counts.
        Err(_) => shared.known.drop_the_shelf(),
    }
}

/// Writes the snapshot after changes, and now and then without any: it must not look older than it
/// is. During an outage too, so that the age is carried on even if the wall clock is set back.
pub(super) async fn keep(shared: Arc<Shared>, keeper: Arc<Keeper>) {
    let mut pause = SHORTEST_PAUSE;
    let mut failed = false;
    let mut last: Option<(u64, BTreeMap<String, String>, Instant)> = None;
    loop {
        tokio::time::sleep(pause).await;
        let changes = shared.known.changes();
        let extras = keeper.extras();
        let due = last.as_ref().is_none_or(|(written, kept, at)| {
            *written != changes || *kept != extras || at.elapsed() >= longest_pause(&shared)
        });
        if !due {
            continue;
        }
        let begun = Instant::now();
        let (from, to) = (Arc::clone(&shared), Arc::clone(&keeper));
        let written = tokio::task::spawn_blocking(move || match to.take(&from) {
            Some(snapshot) => snapshot::write(&to.path, &to.key, &snapshot).map(|()| true),
            None => Ok(false),
        });
        let path = keeper.path.display();
        match written.await {
            Ok(Ok(true)) => {
                debug!(%path, "entitlements: the snapshot was written");
                (failed, last) = (false, Some((changes, extras, begun)));
            }
            Ok(Ok(false)) => {}
            Ok(Err(error)) => {
                // Once: what fails now fails every few seconds.
                if !failed {
                    warn!(%path, %error, "entitlements: the snapshot cannot be written");
                }
                failed = true;
            }
            // The runtime ends.
            Err(_) => return,
        }
        // One that takes long is written more rarely: it must not be all that the disk does.
        pause = SHORTEST_PAUSE.max(begun.elapsed() * 20);
    }
}

/// How long a snapshot stands without a change: a small part of what it is good for.
fn longest_pause(shared: &Shared) -> Duration {
    (shared.max_stale / 100).clamp(SHORTEST_PAUSE, Duration::from_mins(5))
}

const SHORTEST_PAUSE: Duration = Duration::from_secs(2);
