//! What is known about tenants: rows with their current resolution, and organizations.
//!
//! Rows are cached, not answers: an entry whose next boundary has passed is resolved again from
//! the same rows, so that starts, ends and graces apply whether the store can be asked or not.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use foldhash::fast::RandomState;
use moka::ops::compute::Op;
use moka::sync::Cache;
use tracing::error;

use super::doubts::{Doubts, Whence};
use super::organizations::{OrganizationRef, Organizations};
use super::unknown::Unknown;
use crate::catalog::Catalog;
use crate::model::{TenantId, TenantRecord};
use crate::resolve::{EntitlementSet, State, resolve_shared};
use crate::snapshot::{Entry, Shelf, SnapshotError};
use crate::store::Organization;

pub(super) struct Known {
    rows: Cache<TenantId, EntitlementSet, RandomState>,
    organizations: Organizations,
    unknown: Unknown,
    /// Rows that are to be read again.
    doubts: Doubts,
    /// What a snapshot holds and nobody has read yet.
    shelf: RwLock<Option<Arc<Shelf>>>,
    /// Grows with every change that is heard of: what was asked for before it is not kept.
    epoch: AtomicU64,
    /// Grows with everything that a snapshot would hold otherwise.
    changes: AtomicU64,
    /// Grows with both: whoever has asked since it last grew would get the same answer.
    generation: AtomicU64,
}

impl Known {
    pub(super) fn new(capacity: u64) -> Self {
        Self {
            rows: cache(capacity, None),
            organizations: Organizations::new(capacity),
            unknown: Unknown::new(),
            doubts: Doubts::default(),
            shelf: RwLock::default(),
            epoch: AtomicU64::new(0),
            changes: AtomicU64::new(0),
            generation: AtomicU64::new(0),
        }
    }

    /// The entitlements from the rows at hand, resolved for `now`.
    pub(super) fn set(
        &self,
        id: &TenantId,
        catalog: &Catalog,
        now: SystemTime,
    ) -> Option<EntitlementSet> {
        let Some(set) = self.rows.get(id) else {
            // INVARIANT: as with what is read from the store, the epoch is read before and looked at
            // again afterwards: what the snapshot said must not come after what the store says.
            let epoch = self.epoch();
            let record = self.shelf()?.tenant(id)?;
            let set = self.store_shared(record, catalog, now, Replace::Newer);
            if self.epoch() != epoch {
                self.forget_up_to(id, set.revision());
            }
            return Some(set);
        };
        if set.holds_at(now) {
            return Some(set);
        }
        let fresh = resolve_live(catalog, Arc::clone(set.record()), now);
        // Only the same rows are resolved anew: those that were forgotten or replaced meanwhile
        // must not come back.
        self.rows.entry_by_ref(id).and_compute_with(|current| {
            let same =
                current.is_some_and(|it| Arc::ptr_eq(it.into_value().record(), set.record()));
            if same { Op::Put(fresh.clone()) } else { Op::Nop }
        });
        Some(fresh)
    }

    /// Resolves rows for `now` and keeps them, unless newer ones are there already.
    pub(super) fn store(
        &self,
        record: TenantRecord,
        catalog: &Catalog,
        now: SystemTime,
        replace: Replace,
    ) -> EntitlementSet {
        self.store_shared(Arc::new(record), catalog, now, replace)
    }

    pub(super) fn store_shared(
        &self,
        record: Arc<TenantRecord>,
        catalog: &Catalog,
        now: SystemTime,
        replace: Replace,
    ) -> EntitlementSet {
        let set = resolve_live(catalog, record, now);
        self.keep(&set, replace);
        if set.state() == State::UnknownPlan
            && let Err(why) = set.usable()
        {
            let why = why.cause.as_deref().unwrap_or(&why.detail);
            error!(tenant = %set.tenant(), why, "entitlements: a tenant is denied as `unknown_plan`");
        }
        self.changed();
        if replace == Replace::Always {
            return set;
        }
        // Whoever asked is answered from what is kept, which may be newer.
        let newer = self.rows.get(set.tenant()).filter(|kept| kept.revision() > set.revision());
        newer.unwrap_or(set)
    }

    fn keep(&self, set: &EntitlementSet, replace: Replace) {
        // INVARIANT: rows are never replaced by older ones, however late an answer arrives.
        self.rows.entry_by_ref(set.tenant()).and_compute_with(|current| {
            let newer = current.is_some_and(|it| it.into_value().revision() > set.revision());
            if newer && replace == Replace::Newer {
                return Op::Nop;
            }
            // In here, so that it is not what somebody doubts a moment later that is removed.
            self.doubts.remove(set.tenant());
            Op::Put(set.clone())
        });
    }

    pub(super) fn revision(&self, id: &TenantId) -> Option<u64> {
        self.rows.get(id).map(|set| set.revision())
    }

    /// Answers nothing any more from rows that are from before a change, or may be, unless newer ones
    /// are there already. They were true for the last time so long ago.
    pub(super) fn doubt(&self, id: &TenantId, revision: u64, age: Duration, whence: Whence) {
        self.rows.entry_by_ref(id).and_compute_with(|current| {
            let Some(set) = current.map(moka::Entry::into_value) else { return Op::Nop };
            if set.revision() > revision {
                return Op::Nop;
            }
            // INVARIANT: as the better rows, the doubtful ones are there before the others go.
            self.doubts.put(Arc::clone(set.record()), age, whence);
            Op::Remove
        });
        self.changed();
    }

    /// What is to be read again.
    pub(super) fn doubts(&self) -> &Doubts {
        &self.doubts
    }

    /// True if rows of the tenant are at hand, or an organization that names it.
    pub(super) fn has(&self, id: &TenantId) -> bool {
        self.revision(id).is_some() || self.organizations.names(id)
    }

    /// Forgets rows that may be from before a change, unless newer ones are there already.
    fn forget_up_to(&self, id: &TenantId, revision: u64) {
        self.rows.entry_by_ref(id).and_compute_with(|current| {
            let newer = current.is_some_and(|it| it.into_value().revision() > revision);
            if newer { Op::Nop } else { Op::Remove }
        });
        self.changed();
    }

    pub(super) fn forget(&self, id: &TenantId) {
        self.rows.invalidate(id);
        self.doubts.remove(id);
        self.changed();
    }

    pub(super) fn tenants(&self) -> Vec<TenantId> {
        self.rows.iter().map(|(id, _)| TenantId::clone(&id)).collect()
    }

    pub(super) fn tenant_of(&self, organization: &OrganizationRef<'_>) -> Option<TenantId> {
        self.organizations.tenant(organization).or_else(|| {
            let epoch = self.epoch();
            let tenant = self.shelf()?.tenant_of(organization.issuer, organization.id)?;
            self.map(organization.owned(), tenant.clone());
            if self.epoch() != epoch {
                self.unmap(&organization.owned());
            }
            Some(tenant)
        })
    }

    /// Puts a snapshot beside the cache: what is asked for is taken from it.
    pub(super) fn put_shelf(&self, snapshot: Arc<Shelf>) {
        *self.shelf.write().unwrap_or_else(PoisonError::into_inner) = Some(snapshot);
    }

    /// True as long as not all of a snapshot is in the cache.
    pub(super) fn has_shelf(&self) -> bool {
        self.shelf().is_some()
    }

    fn shelf(&self) -> Option<Arc<Shelf>> {
        self.shelf.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes the rest of the snapshot into the cache; nothing else changes the cache meanwhile.
    pub(super) fn clear_the_shelf(
        &self,
        catalog: &Catalog,
        now: SystemTime,
    ) -> Result<u64, SnapshotError> {
        let mut tenants = 0;
        let mut outcome = Ok(());
        if let Some(shelf) = self.shelf() {
            for entry in shelf.entries() {
                match entry {
                    Ok(Entry::Tenant(record)) => {
                        tenants += 1;
                        if self.revision(&record.id).is_none() {
                            self.store_shared(record, catalog, now, Replace::Newer);
                        }
                    }
                    Ok(Entry::Organization(organization, tenant)) => self.map(organization, tenant),
                    Err(error) => outcome = Err(error),
                }
            }
        }
        self.drop_the_shelf();
        outcome.map(|()| tenants)
    }

    /// Answers nothing from the snapshot any more.
    pub(super) fn drop_the_shelf(&self) {
        *self.shelf.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) fn map(&self, organization: Organization, tenant: TenantId) {
        self.organizations.map(organization, tenant);
        self.changed();
    }

    pub(super) fn unmap(&self, organization: &Organization) {
        self.organizations.unmap(organization);
        self.changed();
    }

    /// Whom organizations name.
    pub(super) fn organizations(&self) -> &Organizations {
        &self.organizations
    }

    /// Who is not known to the store, or cannot be read.
    pub(super) fn unknown(&self) -> &Unknown {
        &self.unknown
    }

    /// All rows that another process may begin with, and how old the doubtful ones among them are.
    pub(super) fn records(&self) -> (Vec<Arc<TenantRecord>>, Duration) {
        let mut all: HashMap<TenantId, Arc<TenantRecord>> = HashMap::new();
        let mut oldest = Duration::ZERO;
        let mut add_doubts = |all: &mut HashMap<_, _>| {
            let (doubtful, age) = self.doubts.to_keep();
            oldest = oldest.max(age);
            for record in doubtful {
                all.entry(record.id.clone()).or_insert(record);
            }
        };
        // Rows go from one place to the other meanwhile, in both directions: looked at before and
        // after, none is missed. What stands in both is better where it counts.
        add_doubts(&mut all);
        for (id, set) in &self.rows {
            all.insert(TenantId::clone(&id), Arc::clone(set.record()));
        }
        add_doubts(&mut all);
        (all.into_values().collect(), oldest)
    }

    /// Counts what has changed in rows and mappings.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    fn changed(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.generation.fetch_add(1, Ordering::SeqCst);
    }

    /// All that was heard of stands here now: what was said before, of rows that are not here any
    /// more, does not count either.
    pub(super) fn is_corrected(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
    }

    /// What all of this has been through.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }

    /// Something has changed: whoever was unknown may be known now. The epoch grows first, so that
    /// an answer from before is either cleared here or noticed by whoever keeps it.
    pub(super) fn heard_of_a_change(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
        self.generation.fetch_add(1, Ordering::SeqCst);
        self.unknown.clear();
    }

    pub(super) fn counts(&self) -> (u64, u64, u64) {
        (
            self.rows.entry_count() + self.doubts.count() as u64,
            self.organizations.count(),
            self.unknown.count(),
        )
    }
}

/// Which rows may be replaced.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Replace {
    /// Those of the same revision or an older one.
    Newer,
    /// All: the store was replaced by another copy, whose revisions count anew.
    Always,
}

/// What holds now. What the store tells has happened; see [`TenantRecord::happened_by`].
pub(super) fn resolve_live(
    catalog: &Catalog,
    mut record: Arc<TenantRecord>,
    now: SystemTime,
) -> EntitlementSet {
    // Hardly ever: nothing is copied for a record that tells of the past only.
    if record.is_ahead_of(now) {
        record = Arc::new(Arc::unwrap_or_clone(record).happened_by(now));
    }
    resolve_shared(catalog, record, now)
}

pub(super) fn cache<K, V>(capacity: u64, life: Option<Duration>) -> Cache<K, V, RandomState>
where
    K: Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    let builder = Cache::builder().max_capacity(capacity);
    let builder = match life {
        Some(life) => builder.time_to_live(life),
        None => builder,
    };
    builder.build_with_hasher(RandomState::default())
}
