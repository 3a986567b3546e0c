//! Questions that what is at hand does not answer: one of many callers asks the store, and what it
//! finds is kept unless a change was heard of meanwhile.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use tokio::time::Instant;
use tracing::error;

use super::cache::{Replace, resolve_live};
use super::doubts::Whence;
use super::organizations::OrganizationRef;
use super::{CheckError, Shared, in_time};
use crate::model::{TenantId, TenantRef};
use crate::resolve::EntitlementSet;
use crate::store::{Organization, StoreError};

impl Shared {
    pub(super) async fn ask(
        &self,
        tenant: TenantRef<'_>,
        now: SystemTime,
    ) -> Result<EntitlementSet, CheckError> {
        let unknown = || CheckError::UnknownTenant(tenant.to_string());
        let id = match tenant {
            TenantRef::Id(id) => id.clone(),
            TenantRef::Organization { issuer, organization } => {
                let organization = OrganizationRef { issuer, id: organization };
                self.mapped(organization, now).await?.ok_or_else(unknown)?
            }
        };
        if self.freshness().is_some()
            && let Some(set) = self.cached(TenantRef::Id(&id), now)
        {
            return Ok(set);
        }
        if self.known.unknown().has_tenant(&id, now) {
            return Err(unknown());
        }
        if let Some(why) = self.known.unknown().why_unreadable(&id, now) {
            return Err(StoreError::Corrupt(why).into());
        }
        let key = (id.clone(), self.known.epoch());
        let set = match self.rows.join(key, self.load(&id, now)).await {
            Ok(answer) => answer.ok_or_else(unknown)?,
            Err(error @ StoreError::Corrupt(_)) => return Err(error.into()),
            Err(error) => return self.doubtful(&id, now).ok_or_else(|| error.into()),
        };
        // Whoever joined a flight may have another now than the one who started it.
        if set.holds_at(now) {
            return Ok(set);
        }
        Ok(resolve_live(&self.catalog, Arc::clone(set.record()), now))
    }

    /// Reads a tenant's rows and keeps what was found, unless a change was heard of meanwhile:
    /// then what was read may be from before it, and the task that heard of it did not see it here.
    pub(super) async fn load(
        &self,
        id: &TenantId,
        now: SystemTime,
    ) -> Result<Option<EntitlementSet>, StoreError> {
        // INVARIANT: the epoch is read before the rows, and looked at again after they are kept.
        let epoch = self.known.epoch();
        let asked = Instant::now();
        let store = self.store()?;
        let answer = in_time(store.load(id)).await;
        let unchanged = || self.known.epoch() == epoch;
        if let Err(StoreError::Corrupt(why)) = &answer
            && unchanged()
        {
            self.cannot_be_read(id, why.clone());
        }
        let answer = answer?;
        if let Some(record) = answer {
            let set = self.known.store(record, &self.catalog, now, Replace::Newer);
            if !unchanged() {
                self.known.doubt(id, set.revision(), asked.elapsed(), Whence::Here);
            }
            Ok(Some(set))
        } else {
            if unchanged() {
                self.known.forget(id);
            }
            self.known.unknown().note_tenant(id.clone(), now);
            if !unchanged() {
                self.known.unknown().forget_tenant(id);
            }
            Ok(None)
        }
    }

    async fn mapped(
        &self,
        organization: OrganizationRef<'_>,
        now: SystemTime,
    ) -> Result<Option<TenantId>, CheckError> {
        if self.freshness().is_some()
            && let Some(id) = self.known.tenant_of(&organization)
        {
            return Ok(Some(id));
        }
        if self.known.unknown().has_organization(&organization, now) {
            return Ok(None);
        }
        let organization = organization.owned();
        let key = (organization.clone(), self.known.epoch());
        Ok(self.mappings.join(key, self.look_up(&organization, now)).await?)
    }

    /// Reads whom an organization names; kept under the same condition as rows are.
    async fn look_up(
        &self,
        organization: &Organization,
        now: SystemTime,
    ) -> Result<Option<TenantId>, StoreError> {
        let epoch = self.known.epoch();
        let store = self.store()?;
        let answer = in_time(store.tenant_of(&organization.issuer, &organization.id)).await?;
        let unchanged = || self.known.epoch() == epoch;
        if let Some(id) = &answer {
            self.known.map(organization.clone(), id.clone());
            if !unchanged() {
                self.known.unmap(organization);
            }
        } else {
            self.known.unknown().note_organization(organization.clone(), now);
            if !unchanged() {
                self.known.unknown().forget_organization(organization);
            }
        }
        Ok(answer)
    }

    /// A tenant whose rows cannot be read gets no answer: what was known may be what was changed.
    pub(super) fn cannot_be_read(&self, id: &TenantId, why: String) {
        error!(tenant = %id, why, "entitlements: the rows of a tenant cannot be read");
        self.health.unreadable.fetch_add(1, Ordering::Relaxed);
        self.known.forget(id);
        self.known.unknown().note_unreadable(id.clone(), (self.clock)(), why);
    }
}
