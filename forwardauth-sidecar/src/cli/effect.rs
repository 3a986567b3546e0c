//! Whether what was just saved changes anything for its tenant: whoever saves expects it to.

use std::time::SystemTime;

use entitlements::{Catalog, EntitlementSet, TenantId, TenantRecord, format_time, resolve};

use super::store::{Desk, now};

/// What to tell about a new license or override that changes nothing at the moment where it starts;
/// nothing if it does. The row is in the store already: whatever fails here, it was saved.
pub(super) async fn note(
    desk: &Desk,
    tenant: &TenantId,
    row: &str,
    from: SystemTime,
) -> Option<String> {
    let after = desk.tenant(tenant, now()).await.ok()?;
    let mut before = after.clone();
    before.licenses.retain(|license| license.id != row);
    before.overrides.retain(|exception| exception.id != row);
    told(desk.catalog().ok()?, &before, &after, from)
}

fn told(
    catalog: &Catalog,
    before: &TenantRecord,
    after: &TenantRecord,
    from: SystemTime,
) -> Option<String> {
    let (tenant, state) = (&after.id, resolve(catalog, after, from).state());
    let first = match first_difference(catalog, before, after, from) {
        Some(at) if at == from => return None,
        Some(at) => format!("before {}", format_time(at)),
        None => format!("from {} on", format_time(from)),
    };
    Some(format!(
        "it changes nothing for tenant `{tenant}` {first}: the state is `{state}`, and every feature \
         is the same without it"
    ))
}

/// The first moment at which it makes a difference; in between two boundaries nothing changes.
fn first_difference(
    catalog: &Catalog,
    before: &TenantRecord,
    after: &TenantRecord,
    from: SystemTime,
) -> Option<SystemTime> {
    let mut at = from;
    loop {
        let (old, new) = (resolve(catalog, before, at), resolve(catalog, after, at));
        if !same(&old, &new) {
            return Some(at);
        }
        at = [old.valid_until(), new.valid_until()].into_iter().flatten().min()?;
    }
}

fn same(old: &EntitlementSet, new: &EntitlementSet) -> bool {
    let states = (old.state(), old.tier()) == (new.state(), new.tier());
    states && old.features().eq(new.features())
}
