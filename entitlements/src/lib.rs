#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod catalog;
mod model;
mod reason;
mod resolve;
mod service;
mod snapshot;
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;

pub use catalog::{
    Addon, CaseDifference, CaseOutcome, Catalog, CatalogError, Feature, FeatureKind, Need,
    OnExpiry, OrphanedLicense, PlanCases, PlanChange, Terms, Tier, UnknownFeature, orphans,
};
pub use model::{
    Effect, FeatureKey, InvalidDuration, InvalidName, InvalidTime, License, LicenseKind,
    LicenseSource, Override, Pin, Standing, TenantId, TenantRecord, TenantRef, TenantStatus,
    UnknownWord, Value, format_duration, format_time, parse_duration, parse_time,
};
pub use reason::Reason;
pub use resolve::{EntitlementSet, Freshness, NotEntitled, Provenance, State, resolve};
pub use service::{CheckError, EntitlementService, EntitlementServiceBuilder, ServiceStatus};
pub use snapshot::{InvalidSnapshotKey, SnapshotKey};
pub use store::StoreError;
