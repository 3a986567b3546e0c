//! The edge cases of licensing and the complaints about other systems, each by its name.
//!
//! What needs only rows and a moment is asked of [`resolve`]; what happens between a change and the
//! next question is asked of a service. The details of each rule are in `resolve`, `outage` and
//! `service`, and in the conformance suite of the stores.
//!
//! Tested elsewhere, because it takes more than this crate's rows:
//!
//! - A change that a cache has not heard of, also over an interruption, a restart and a restored
//!   backup: `service`, `outage`, and `push` among the tests with PostgreSQL; through the gateway
//!   in the sidecar's `tests/e2e/life.rs`.
//! - A store that is away at the start, or at the first question of a tenant: `outage`, `snapshot`.
//! - Plans that no longer know what is sold: `plans`, as orphans of a live store.
//! - A tenant's status, what is missing and what is not known are three answers: `resolve` here,
//!   the order of refusals in `tests/it/gate.rs` of auth-core, and 401, 403 and 503 in the
//!   sidecar's `tests/it/denials.rs`.
//! - Every door gives the same answer: the matrix is asked through Traefik and on the command line
//!   in the sidecar's `tests/e2e/matrix.rs`.
//! - Every store keeps the same contract: `store::conformance`, run by `sqlite` and by the tests with
//!   PostgreSQL.
//! - Clocks that do not agree: tokens have a leeway, tested in `tests/it/rejects/time.rs` of
//!   auth-core; a store's rows have none, which is tested here; a writer whose clock is ahead is in
//!   `tests/shared/clocks.rs`.
//!
//! What other systems stumble over and this one does not have:
//!
//! - License files. Every license is a row of the store, so that no file can lapse while a row is
//!   good, and no key or list of revoked files has to be renewed by hand. The one file that is read
//!   without a store is the snapshot, whose age is tested in `snapshot`.
//! - A clock that is set back to prolong a license. It takes the rights of whoever runs the gateway;
//!   there is no mark of the latest moment seen. What a clock that is set back does to the age of a
//!   snapshot is tested in `snapshot`.
//! - Events that are sent when a license begins or ends: nothing is sent. Whoever asks is answered
//!   as of the second of the question, and [`EntitlementSet::valid_until`] tells the next one.
//! - A list of all features that is slow because each is computed when it is asked: they are
//!   resolved together, once for each change.
//! - Protocols for flags and decisions with validators, streams and suites of their own: none is
//!   spoken. A stream that is open when its tenant is downgraded is judged again when it is opened
//!   again; the application may ask in between.
//! - Screens on which saving does nothing: there is no screen, and a command that is refused says so.
//! - Counted use: a number is a limit, and whoever enforces it counts.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use entitlements::store::Change;
use entitlements::testing::{PLANS, license};
use entitlements::{
    Catalog, Effect, EntitlementService, EntitlementSet, License, LicenseKind, Override, Reason,
    State, TenantRecord, TenantRef, TenantStatus, parse_time, resolve,
};

use crate::catalog;

const START: &str = "2026-01-01T00:00:00Z";
const END: &str = "2027-01-01T00:00:00Z";
const NOW: &str = "2026-11-22T12:00:00Z";

#[track_caller]
fn time(text: &str) -> SystemTime {
    parse_time(text).expect("it is a time")
}

fn with_grace(plan: &str, kind: LicenseKind) -> License {
    License {
        kind,
        starts_at: time(START),
        ends_at: Some(time(END)),
        grace: Duration::from_hours(24),
        ..license(plan, plan)
    }
}

fn base(plan: &str) -> License {
    with_grace(plan, LicenseKind::Base)
}

fn holding(licenses: Vec<License>) -> TenantRecord {
    TenantRecord {
        id: "acme".parse().expect("it is a tenant id"),
        name: "Acme".to_owned(),
        status: TenantStatus::Active,
        status_reason: None,
        revision: 1,
        licenses,
        overrides: Vec::new(),
    }
}

fn at(licenses: Vec<License>, moment: SystemTime) -> EntitlementSet {
    resolve(&catalog(), &holding(licenses), moment)
}

fn value(set: &EntitlementSet, feature: &str) -> String {
    set.value(&feature.parse().expect("a feature")).expect("it is declared").to_string()
}

#[test]
fn expired_falls_back_after_grace_and_tells_the_date() {
    let set = at(vec![base("mid")], time(END) + Duration::from_hours(24));
    assert_eq!(set.state(), State::Expired);
    let denial = set.usable().expect_err("it is over");
    assert_eq!(denial.reason, Reason::LicenseExpired);
    assert!(denial.detail.contains("2027-01-01T00:00:00Z"), "{denial}");
}

#[test]
fn expiry_does_not_shut_out_who_needs_no_license() {
    let set = at(vec![base("mid")], time(END) + Duration::from_hours(48));
    assert!(set.usable().is_err());
    assert!(set.admitted().is_ok(), "signing in and seeing the account goes on");
}

#[test]
fn grace_and_trial_never_make_a_permanent_unlock() {
    let trial = with_grace("business", LicenseKind::Trial);
    assert_eq!(at(vec![trial], time(END)).state(), State::Expired);
}

/// What the licenses come to at each of these moments, counted from [`END`].
#[track_caller]
fn after_the_end(licenses: &[License], expected: &[(Duration, State, Option<&str>)]) {
    for (later, state, tier) in expected {
        let set = at(licenses.to_vec(), time(END) + *later);
        assert_eq!((set.state(), set.tier()), (*state, *tier), "{later:?} after the end");
    }
}

fn hour(number: u64) -> Duration {
    Duration::from_hours(number)
}

fn just_before(number: u64) -> Duration {
    hour(number).saturating_sub(Duration::from_micros(1))
}

fn ending(later: Duration, license: License) -> License {
    License { ends_at: Some(time(END) + later), ..license }
}

#[test]
fn graces_count_from_the_end_of_each_license_and_never_add_up() {
    // The dearer one ends first. Its grace is over although the other one's is not.
    let both = [base("high"), ending(hour(12), base("low"))];
    after_the_end(
        &both,
        &[
            (hour(0), State::Active, Some("high")),
            (hour(12), State::Grace, Some("high")),
            (just_before(24), State::Grace, Some("high")),
            (hour(24), State::Grace, Some("low")),
            (just_before(36), State::Grace, Some("low")),
            (hour(36), State::Expired, None),
        ],
    );
    // One after the other, without a gap: the first grace is over when the second begins, and two
    // graces are no longer than one.
    let second = License { starts_at: time(END), ..ending(hour(48), base("low")) };
    after_the_end(
        &[base("high"), second],
        &[
            (just_before(24), State::Active, Some("high")),
            (hour(24), State::Active, Some("low")),
            (hour(48), State::Grace, Some("low")),
            (just_before(72), State::Grace, Some("low")),
            (hour(72), State::Expired, None),
        ],
    );
}

#[test]
fn a_trial_after_a_license_in_grace_prolongs_nothing() {
    let trial = |hours| {
        let trial = with_grace("business", LicenseKind::Trial);
        License { starts_at: time(END), ..ending(hour(hours), trial) }
    };
    // It ends within the grace, which goes on and ends when it would have ended without it.
    after_the_end(
        &[base("mid"), trial(12)],
        &[
            (hour(0), State::Active, Some("business")),
            (just_before(12), State::Active, Some("business")),
            (hour(12), State::Grace, Some("mid")),
            (just_before(24), State::Grace, Some("mid")),
            (hour(24), State::Expired, None),
        ],
    );
    // It outlives the grace: neither its own end nor the license's brings another one.
    after_the_end(
        &[base("mid"), trial(48)],
        &[
            (hour(24), State::Active, Some("business")),
            (just_before(48), State::Active, Some("business")),
            (hour(48), State::Expired, None),
        ],
    );
}

#[test]
fn grace_applies_to_add_ons_too() {
    let text = format!("{PLANS}\n[addons.pack]\nexchange_replay = \"yes\"");
    let catalog = Catalog::parse(&text).expect("it is right");
    let record = holding(vec![base("mid"), with_grace("pack", LicenseKind::Addon)]);
    let last = time(END) + Duration::from_hours(24) - Duration::from_micros(1);
    assert_eq!(value(&resolve(&catalog, &record, last), "exchange_replay"), "yes");
}

#[test]
fn an_unknown_or_renamed_plan_fails_closed() {
    let set = at(vec![base("retired")], time(NOW));
    assert_eq!(set.state(), State::UnknownPlan);
    assert!(set.features().all(|(_, value)| value.is_lowest()));
    assert_eq!(set.usable().expect_err("nobody knows it").reason, Reason::UnknownPlan);
}

#[test]
fn an_unknown_feature_is_an_error_when_it_is_named() {
    assert!(catalog().need("no_such_feature").is_err());
    assert!(!at(vec![base("business")], time(NOW)).has(&"no_such_feature".parse().expect("a key")));
}

#[test]
fn a_license_does_not_work_before_its_start_and_then_by_itself() {
    let before = at(vec![base("mid")], time(START) - Duration::from_micros(1));
    assert_eq!(before.state(), State::NotYetValid);
    assert_eq!(before.valid_until(), Some(time(START)), "the moment at which it flips is known");
    assert_eq!(at(vec![base("mid")], time(START)).tier(), Some("mid"));
}

#[test]
fn a_lower_offer_beside_a_higher_one_takes_nothing_away() {
    let alone = at(vec![base("high")], time(NOW));
    let both = at(vec![base("low"), base("high")], time(NOW));
    assert!(alone.features().eq(both.features()));
    assert_eq!(both.tier(), Some("high"));
}

#[test]
fn boundaries_from_the_store_have_no_skew() {
    let mut ends = base("mid");
    ends.grace = Duration::ZERO;
    let one = Duration::from_micros(1);
    assert_eq!(at(vec![ends.clone()], time(END) - one).state(), State::Active);
    assert_eq!(at(vec![ends], time(END)).state(), State::Expired);
}

#[test]
fn suspended_is_told_apart_from_every_plan_reason() {
    let mut record = holding(vec![base("business")]);
    record.status = TenantStatus::Suspended;
    let denial = resolve(&catalog(), &record, time(NOW)).usable().expect_err("it is suspended");
    assert_eq!(denial.reason, Reason::TenantSuspended);
    let held = License { suspended_at: Some(time(NOW)), ..base("business") };
    let denial = at(vec![held], time(NOW)).usable().expect_err("its license is suspended");
    assert_eq!(denial.reason, Reason::LicenseSuspended);
}

#[test]
fn a_suspended_license_hides_nothing_outside_its_period() {
    let held = |license: License| License { suspended_at: Some(time(START)), ..license };
    let over = time(END) + Duration::from_hours(24);
    let code = |licenses: Vec<License>, moment| {
        let denial = at(licenses, moment).usable().expect_err("nothing is usable");
        (denial.reason, denial.detail)
    };
    assert_eq!(code(vec![held(base("mid"))], time(NOW)).0, Reason::LicenseSuspended);
    let grace = over - Duration::from_micros(1);
    assert_eq!(code(vec![held(base("mid"))], grace).0, Reason::LicenseSuspended);
    assert_eq!(code(vec![held(base("mid"))], over).0, Reason::LicenseExpired);
    let later = |id: &str| {
        let starts_at = over + Duration::from_hours(240);
        License { id: id.to_owned(), starts_at, ends_at: None, ..base("high") }
    };
    // The one that ended is told no more, and neither is one that is held before it began.
    for other in [held(base("mid")), held(later("a"))] {
        let (reason, detail) = code(vec![other, later("b")], over);
        assert_eq!(reason, Reason::LicenseNotYetValid);
        assert!(detail.contains("`b`") && detail.contains("2027-01-12"), "{detail}");
    }
    assert_eq!(code(vec![held(later("a"))], over).0, Reason::LicenseSuspended);
}

#[test]
fn a_revocation_has_neither_grace_nor_skew() {
    let revoked = License { revoked_at: Some(time(NOW)), ..base("mid") };
    assert_eq!(at(vec![revoked.clone()], time(NOW)).state(), State::LicenseRevoked);
    let before = time(NOW) - Duration::from_micros(1);
    assert_eq!(at(vec![revoked], before).state(), State::Active);
}

#[tokio::test]
async fn an_override_ends_by_the_clock_and_everybody_asks_the_same_rows() {
    let exception = Override {
        id: "ovr_1".to_owned(),
        feature: "exchange_replay".parse().expect("a feature"),
        effect: Effect::Raise("yes".to_owned()),
        starts_at: time(START),
        ends_at: Some(time(NOW)),
        reason: "a promise of sales".to_owned(),
        ticket: None,
        created_by: "sue".to_owned(),
        revoked_at: None,
    };
    let mut record = holding(vec![license("lic_acme_low", "low")]);
    record.overrides.push(exception.clone());
    let clock = Arc::new(Mutex::new(time(START)));
    let (service, store) = EntitlementService::in_memory_builder(catalog())
        .clock({
            let clock = Arc::clone(&clock);
            move || *clock.lock().expect("nobody panics")
        })
        .tenants([("acme", "low")])
        .build_with_store();
    let tenant = record.id.clone();
    store.apply(&Change::AddOverride { tenant: tenant.clone(), exception }).expect("it is applied");
    let need = catalog().need("exchange_replay").expect("a feature");
    let organization = TenantRef::Organization { issuer: "https://id.test", organization: "acme" };
    service.entitlements(organization).await.expect("now it is at hand, too");
    let instant = Duration::from_micros(1);
    for (moment, expected, until) in [
        (time(START) - instant, "no", Some(START)),
        (time(START), "yes", Some(NOW)),
        (time(NOW) - instant, "yes", Some(NOW)),
        (time(NOW), "no", None),
        // What was resolved for a later moment is not kept for an earlier one.
        (time(START), "yes", Some(NOW)),
    ] {
        *clock.lock().expect("nobody panics") = moment;
        let pure = resolve(&catalog(), &record, moment);
        assert_eq!(
            (value(&pure, "exchange_replay").as_str(), pure.valid_until()),
            (expected, until.map(time))
        );
        for asked in [TenantRef::Id(&tenant), organization] {
            let cached = service.cached(asked).expect("it is at hand");
            let entitlements = service.entitlements(asked).await.expect("it is known");
            let later = service.entitlements_at(asked, moment).await.expect("it is known");
            for set in [&cached, &entitlements, &later] {
                assert_eq!(value(set, "exchange_replay"), expected);
                assert!(set.features().eq(pure.features()));
                assert_eq!((set.state(), set.valid_until()), (pure.state(), pure.valid_until()));
                assert_eq!(set.explain(), pure.explain());
            }
            let checked = service.check(asked, &need).await.expect("it is known");
            assert_eq!(checked.map(drop), pure.require(&need));
        }
    }
}

mod between_a_change_and_the_next_question {
    use entitlements::store::{Actor, Store};
    use entitlements::testing::{Faulty, store};
    use entitlements::{LicenseSource, TenantId};

    use super::*;

    fn acme() -> TenantId {
        "acme".parse().expect("it is a tenant id")
    }

    async fn apply(store: &Arc<dyn Store>, change: Change) -> bool {
        store.apply(&change, &Actor::person("test"), time(NOW)).await.is_ok()
    }

    /// A store with `acme` on high, and a service before it.
    async fn scene() -> (Arc<dyn Store>, Arc<Faulty>, EntitlementService) {
        let inner = store();
        let add =
            Change::AddTenant { id: acme(), name: "Acme".to_owned(), organizations: Vec::new() };
        assert!(apply(&inner, add).await);
        let license = License { starts_at: time(START), ..license("lic_1", "high") };
        assert!(apply(&inner, Change::GrantLicense { tenant: acme(), license }).await);
        let faulty = Faulty::new(Arc::clone(&inner));
        let seen: Arc<dyn Store> = Arc::<Faulty>::clone(&faulty);
        let builder = EntitlementService::with_store(seen, catalog()).clock(|| time(NOW));
        (inner, faulty, builder.connect().await.expect("the store is there"))
    }

    #[tokio::test(start_paused = true)]
    async fn a_downgrade_counts_from_the_next_question() {
        let (inner, _, service) = scene().await;
        let acme = acme();
        let tier = async || {
            let set = service.entitlements(TenantRef::Id(&acme)).await.expect("it is known");
            set.tier().map(str::to_owned)
        };
        assert_eq!(tier().await.as_deref(), Some("high"), "the first question is no cold denial");
        let low = License { starts_at: time(START), ..license("lic_2", "low") };
        assert!(apply(&inner, Change::GrantLicense { tenant: acme.clone(), license: low }).await);
        let reason = "downgrade".to_owned();
        assert!(apply(&inner, Change::RevokeLicense { license: "lic_1".to_owned(), reason }).await);
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(tier().await.as_deref(), Some("low"), "revoked while it was cached");
    }

    #[tokio::test(start_paused = true)]
    async fn without_the_store_what_was_seen_goes_on_and_the_rest_is_not_known() {
        let (_, faulty, service) = scene().await;
        let acme = acme();
        assert!(service.entitlements(TenantRef::Id(&acme)).await.is_ok());
        faulty.set_down(true);
        assert!(service.entitlements(TenantRef::Id(&acme)).await.is_ok());
        let never: TenantId = "globex".parse().expect("it is a tenant id");
        let error = service.entitlements(TenantRef::Id(&never)).await.expect_err("it is unseen");
        assert_eq!(error.reason(), Reason::StoreUnavailable, "never \"not in your plan\"");
    }

    #[tokio::test]
    async fn what_billing_sends_again_is_not_granted_twice() {
        let (inner, ..) = scene().await;
        let billed = |id: &str| License {
            source: LicenseSource::Billing,
            source_ref: Some("sub_1".to_owned()),
            ..license(id, "low")
        };
        let grant = |id| Change::GrantLicense { tenant: acme(), license: billed(id) };
        assert!(apply(&inner, grant("lic_8")).await);
        assert!(!apply(&inner, grant("lic_9")).await);
        let found = inner.license_from(LicenseSource::Billing, "sub_1").await.expect("it answers");
        assert_eq!(found.map(|(_, license)| license.id).as_deref(), Some("lic_8"));
    }

    #[tokio::test]
    async fn an_override_without_a_reason_is_refused_by_the_store() {
        let (inner, ..) = scene().await;
        let exception = |reason: &str| Override {
            id: "ovr_1".to_owned(),
            feature: "exchange_replay".parse().expect("a feature"),
            effect: Effect::Deny,
            starts_at: time(START),
            ends_at: None,
            reason: reason.to_owned(),
            ticket: None,
            created_by: "sue".to_owned(),
            revoked_at: None,
        };
        let add = |reason| Change::AddOverride { tenant: acme(), exception: exception(reason) };
        assert!(!apply(&inner, add("    ")).await);
        assert!(apply(&inner, add("a promise of sales")).await);
    }
}
