//! A tenant that is at hand, behind services of different kinds.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use entitlements::{
    Catalog, EntitlementService, Freshness, Need, TenantRef,
    store::{self, Actor, Change, Mode, Organization},
    testing::license,
};

const ISSUER: &str = "https://id.example.com";
const ACME: TenantRef<'_> = TenantRef::Organization { issuer: ISSUER, organization: "acme" };

/// A service that has one tenant at hand.
pub(crate) struct Known {
    /// What kind of service it is.
    pub(crate) name: &'static str,
    service: EntitlementService,
    need: Need,
    /// The store's file, as long as it is needed.
    _folder: Option<tempfile::TempDir>,
}

impl Known {
    /// In memory, where nobody else changes anything.
    pub(crate) async fn in_memory() -> Self {
        let service = EntitlementService::in_memory(catalog(), [("acme", "mid")]);
        Self::asked("in memory", service, None).await
    }

    /// Following a file that others may change.
    pub(crate) async fn following() -> Self {
        let folder = tempfile::tempdir().expect("there is room");
        let service = followed(&folder).await;
        Self::asked("following SQLite", service, Some(folder)).await
    }

    /// The same, some seconds after the file was lost.
    pub(crate) async fn stale() -> Self {
        let folder = tempfile::tempdir().expect("there is room");
        let service = followed(&folder).await;
        let known = Self::asked("stale", service, None).await;
        folder.close().expect("it can be removed");
        let stale = || {
            let set = known.service.cached(ACME).expect("it stays at hand");
            matches!(set.freshness(), Freshness::Stale { .. })
        };
        while !stale() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        known
    }

    async fn asked(
        name: &'static str,
        service: EntitlementService,
        folder: Option<tempfile::TempDir>,
    ) -> Self {
        service.entitlements(ACME).await.expect("a tenant");
        let need = service.catalog().need("payload_lineage=limited").expect("a feature");
        Self { name, service, need, _folder: folder }
    }

    /// Asks without waiting, as the gate does.
    pub(crate) fn ask_cached(&self) {
        let set = self.service.cached(ACME).expect("known");
        set.usable().and_then(|()| set.require(&self.need)).expect("granted");
    }

    /// Asks as an application does. Nothing is waited for, so that no runtime is in between.
    pub(crate) fn ask_check(&self) {
        let asked = pin!(self.service.check(ACME, &self.need));
        let Poll::Ready(answer) = asked.poll(&mut Context::from_waker(Waker::noop())) else {
            panic!("a known tenant is not waited for")
        };
        answer.expect("known").expect("granted");
    }
}

fn catalog() -> Catalog {
    Catalog::parse(include_str!("../../plans.toml")).expect("the shipped plans")
}

/// A service before a file with one tenant.
async fn followed(folder: &tempfile::TempDir) -> EntitlementService {
    let url = format!("sqlite:{}", folder.path().join("tiergate.db").display());
    let store = store::open(&url, Mode::ReadWrite).await.expect("a new store");
    let acme: entitlements::TenantId = "acme".parse().expect("an id");
    let organizations = vec![Organization { issuer: ISSUER.to_owned(), id: "acme".to_owned() }];
    let add = Change::AddTenant { id: acme.clone(), name: "Acme".to_owned(), organizations };
    let grant = Change::GrantLicense { tenant: acme, license: license("lic_1", "mid") };
    for change in [add, grant] {
        let by = Actor::person("bench");
        store.apply(&change, &by, std::time::UNIX_EPOCH).await.expect("it is applied");
    }
    EntitlementService::connect(&url, catalog()).await.expect("it is up")
}
