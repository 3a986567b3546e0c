//! The edge cases of the resolution, one by one.

use std::slice;
use std::time::{Duration, SystemTime};

use entitlements::testing::{PLANS, license};
use entitlements::{
    Catalog, Effect, EntitlementSet, License, LicenseKind, NotEntitled, Override, Pin, State,
    TenantRecord, TenantStatus, parse_time, resolve,
};

use crate::catalog;

const START: &str = "2026-01-01T00:00:00Z";
const END: &str = "2027-01-01T00:00:00Z";
const GRACE_END: &str = "2027-01-08T00:00:00Z";
const NOW: &str = "2026-11-22T12:00:00Z";

#[track_caller]
fn time(text: &str) -> SystemTime {
    parse_time(text).expect("it is a time")
}

fn just_before(text: &str) -> SystemTime {
    time(text) - Duration::from_micros(1)
}

fn acme(licenses: Vec<License>) -> TenantRecord {
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

/// A year of a tier, with a week of grace.
fn year(id: &str, tier: &str) -> License {
    License {
        starts_at: time(START),
        ends_at: Some(time(END)),
        grace: Duration::from_hours(7 * 24),
        ..license(id, tier)
    }
}

fn exception(id: &str, feature: &str, effect: Effect) -> Override {
    Override {
        id: id.to_owned(),
        feature: feature.parse().expect("it is a feature"),
        effect,
        starts_at: time(START),
        ends_at: Some(time(END)),
        reason: "a promise of sales".to_owned(),
        ticket: None,
        created_by: "sue".to_owned(),
        revoked_at: None,
    }
}

fn at(record: &TenantRecord, moment: SystemTime) -> EntitlementSet {
    resolve(&catalog(), record, moment)
}

fn value(set: &EntitlementSet, feature: &str) -> String {
    let key = feature.parse().expect("it is a feature");
    set.value(&key).expect("it is declared").to_string()
}

fn denied(set: &EntitlementSet, need: &str) -> NotEntitled {
    set.require(&set.catalog().need(need).expect("it is known")).expect_err("it is denied")
}

#[test]
fn periods_are_half_open_and_grace_follows() {
    let record = acme(vec![year("lic_1", "mid")]);
    let check = |moment: SystemTime, state: State, until: Option<&str>| {
        let set = at(&record, moment);
        assert_eq!(set.state(), state);
        assert_eq!(set.valid_until(), until.map(time));
    };
    check(just_before(START), State::NotYetValid, Some(START));
    check(time(START), State::Active, Some(END));
    check(just_before(END), State::Active, Some(END));
    check(time(END), State::Grace, Some(GRACE_END));
    check(just_before(GRACE_END), State::Grace, Some(GRACE_END));
    check(time(GRACE_END), State::Expired, None);

    let grace = at(&record, time(END));
    assert!(grace.usable().is_ok());
    assert_eq!(grace.tier(), Some("mid"));
    assert!(grace.explain()[0].from.contains("in grace until 2027-01-08"));

    let expired = at(&record, time(GRACE_END));
    assert_eq!(expired.tier(), None);
    assert!(expired.features().all(|(_, value)| value.is_lowest()));
    let denial = expired.usable().expect_err("it is over");
    assert_eq!(denial.reason.code(), "license_expired");
    assert!(denial.detail.contains("2027-01-01T00:00:00Z") && denial.detail.contains("2027-01-08"));
    // Never "not in your plan" for a license that has ended; and what would help is told.
    let denial = denied(&expired, "cross_service_correlation");
    assert_eq!(denial.reason.code(), "license_expired");
    assert_eq!(denial.unlocked_by, ["mid", "high", "business"]);
}

#[test]
fn on_expiry_decides_who_is_admitted_but_not_who_is_usable() {
    let record = acme(vec![year("lic_1", "mid")]);
    let gone = time(GRACE_END);
    let lowest = at(&record, gone);
    assert!(lowest.usable().is_err());
    assert!(lowest.admitted().is_ok());
    let strict = Catalog::parse(&PLANS.replace("\"lowest\"", "\"deny\"")).expect("it is right");
    let denied = resolve(&strict, &record, gone).admitted().expect_err("on_expiry is deny");
    assert_eq!(denied.reason.code(), "license_expired");
    // Whatever it says, a suspended tenant is not admitted.
    let suspended = TenantRecord { status: TenantStatus::Suspended, ..record };
    let denied = at(&suspended, time(NOW)).admitted().expect_err("it is suspended");
    assert_eq!(denied.reason.code(), "tenant_suspended");
}

#[test]
fn a_trial_has_no_grace_whatever_its_row_says() {
    let trial = License { kind: LicenseKind::Trial, ..year("lic_1", "high") };
    let record = acme(vec![trial]);
    assert_eq!(at(&record, just_before(END)).tier(), Some("high"));
    let over = at(&record, time(END));
    assert_eq!((over.state(), over.valid_until()), (State::Expired, None));
}

#[test]
fn a_revocation_counts_from_its_moment_on_and_knows_no_grace() {
    let revoked = License {
        revoked_at: Some(time(NOW)),
        status_reason: Some("refund".to_owned()),
        ..year("lic_1", "mid")
    };
    let record = acme(vec![revoked]);
    // A question about the moment before is answered as it was then.
    let before = at(&record, just_before(NOW));
    assert_eq!((before.state(), before.valid_until()), (State::Active, Some(time(NOW))));
    let after = at(&record, time(NOW));
    assert_eq!(after.state(), State::LicenseRevoked);
    let denial = after.usable().expect_err("it is revoked");
    assert_eq!(denial.cause.as_deref(), Some("refund"));
    assert!(!denial.to_string().contains("refund"), "the tenant is not told why");
    assert_eq!(at(&record, time(END)).state(), State::LicenseRevoked);
}

#[test]
fn a_suspended_license_and_a_suspended_tenant_are_told_apart() {
    let suspended = License { suspended_at: Some(time(NOW)), ..year("lic_1", "mid") };
    assert_eq!(at(&acme(vec![suspended.clone()]), time(NOW)).state(), State::LicenseSuspended);
    assert_eq!(at(&acme(vec![suspended]), just_before(NOW)).state(), State::Active);

    let mut record = acme(vec![year("lic_1", "business")]);
    record.overrides = vec![exception("ovr_1", "exchange_replay", Effect::Raise("yes".to_owned()))];
    for (status, code) in
        [(TenantStatus::Suspended, "tenant_suspended"), (TenantStatus::Closed, "tenant_closed")]
    {
        record.status = status;
        let set = at(&record, time(NOW));
        // Nothing beats it, not even an override.
        assert!(set.features().all(|(_, value)| value.is_lowest()));
        let denial = denied(&set, "exchange_replay");
        assert_eq!(denial.reason.code(), code);
        assert!(denial.unlocked_by.is_empty(), "no plan would help");
    }
}

#[test]
fn overlapping_licenses_give_the_most_of_each() {
    let record = acme(vec![year("lic_1", "mid"), year("lic_2", "low"), year("lic_3", "high")]);
    let set = at(&record, time(NOW));
    assert_eq!(set.tier(), Some("high"));
    assert_eq!(value(&set, "retention_days"), "90");
    // The lower offer takes nothing away, and the order of rows changes nothing.
    let mut turned = record;
    turned.licenses.reverse();
    assert_eq!(at(&turned, time(NOW)).explain(), set.explain());
    // When the higher one ends, the lower one is left.
    let short =
        License { ends_at: Some(time(NOW)), grace: Duration::ZERO, ..year("lic_3", "high") };
    let record = acme(vec![year("lic_1", "mid"), short]);
    assert_eq!(at(&record, just_before(NOW)).tier(), Some("high"));
    assert_eq!(at(&record, time(NOW)).tier(), Some("mid"));
}

#[test]
fn an_unknown_plan_grants_nothing_and_says_so() {
    let record = acme(vec![year("lic_1", "platinum")]);
    let set = at(&record, time(NOW));
    assert_eq!(set.state(), State::UnknownPlan);
    assert!(set.features().all(|(_, value)| value.is_lowest()));
    let denial = set.usable().expect_err("nobody knows the plan");
    assert_eq!(denial.reason.code(), "unknown_plan");
    assert!(denial.detail.contains("`platinum`"), "{denial}");
    // Beside a known one it does no harm; and an alias makes it known.
    let both = acme(vec![year("lic_1", "platinum"), year("lic_2", "low")]);
    assert_eq!(at(&both, time(NOW)).tier(), Some("low"));
    let aliased = format!("{PLANS}\n[aliases]\nplatinum = \"business\"");
    let aliased = Catalog::parse(&aliased).expect("it is right");
    assert_eq!(resolve(&aliased, &record, time(NOW)).tier(), Some("business"));
}

#[test]
fn add_ons_stand_beside_a_tier_and_never_alone() {
    let text =
        format!("{PLANS}\n[addons.replay_pack]\nexchange_replay = \"yes\"\nretention_days = 10");
    let catalog = Catalog::parse(&text).expect("it is right");
    let pack = License { kind: LicenseKind::Addon, quantity: 3, ..year("lic_9", "replay_pack") };
    let alone = resolve(&catalog, &acme(vec![pack.clone()]), time(NOW));
    assert_eq!(alone.state(), State::NoLicense);
    assert!(alone.features().all(|(_, value)| value.is_lowest()));

    let without = resolve(&catalog, &acme(vec![year("lic_1", "low")]), time(NOW));
    assert_eq!(
        denied(&without, "exchange_replay").unlocked_by,
        ["high", "business", "addon:replay_pack"]
    );
    assert_eq!(
        denied(&without, "retention_days=15").unlocked_by,
        ["mid", "high", "business", "addon:replay_pack"]
    );

    let record = acme(vec![pack, year("lic_1", "low")]);
    let beside = resolve(&catalog, &record, time(NOW));
    assert_eq!(value(&beside, "exchange_replay"), "yes");
    assert_eq!(value(&beside, "retention_days"), "37", "numbers add up, times the quantity");
    assert_eq!(beside.tier(), Some("low"));
    assert!(beside.explain()[4].from.contains("add-on replay_pack, 3 times"));
    // Its grace is its own: it goes on together with the tier.
    let grace = resolve(&catalog, &record, time(END));
    assert_eq!(value(&grace, "exchange_replay"), "yes");
    assert_eq!(grace.state(), State::Grace);
}

#[test]
fn overrides_raise_set_and_deny_in_that_order() {
    let raise = |text: &str| Effect::Raise(text.to_owned());
    let set_to = |text: &str| Effect::Set(text.to_owned());
    let check = |overrides: Vec<Override>, feature: &str, expected: &str| {
        let mut record = acme(vec![year("lic_1", "mid")]);
        record.overrides = overrides;
        assert_eq!(value(&at(&record, time(NOW)), feature), expected);
    };
    check(vec![exception("o1", "exchange_replay", raise("yes"))], "exchange_replay", "yes");
    check(vec![exception("o1", "payload_lineage", raise("limited"))], "payload_lineage", "full");
    check(
        vec![exception("o1", "payload_lineage", set_to("limited"))],
        "payload_lineage",
        "limited",
    );
    check(vec![exception("o1", "payload_lineage", Effect::Deny)], "payload_lineage", "off");
    let all = || {
        vec![
            exception("o1", "retention_days", raise("100")),
            exception("o2", "retention_days", set_to("50")),
        ]
    };
    check(all(), "retention_days", "50");
    let mut denied = all();
    denied.insert(0, exception("o3", "retention_days", Effect::Deny));
    check(denied, "retention_days", "0");
    // What the catalog cannot read grants nothing: a raise is void, a set is the lowest.
    check(vec![exception("o1", "payload_lineage", raise("huge"))], "payload_lineage", "full");
    check(vec![exception("o1", "payload_lineage", set_to("huge"))], "payload_lineage", "off");
    check(vec![exception("o1", "gone_feature", set_to("yes"))], "payload_lineage", "full");
}

#[test]
fn overrides_have_their_times_and_tell_who_made_them() {
    let mut record = acme(vec![License { ends_at: None, ..year("lic_1", "mid") }]);
    let mut promise = exception("ovr_7", "exchange_replay", Effect::Raise("yes".to_owned()));
    promise.ends_at = Some(time(NOW));
    record.overrides = vec![promise.clone()];
    let before = at(&record, just_before(NOW));
    assert_eq!(value(&before, "exchange_replay"), "yes");
    assert_eq!(before.valid_until(), Some(time(NOW)), "the end of an override is a boundary");
    let from = &before.explain()[4].from;
    assert!(
        from.contains("override ovr_7")
            && from.contains("by sue")
            && from.contains("a promise of sales")
    );
    assert_eq!(value(&at(&record, time(NOW)), "exchange_replay"), "no");

    promise.revoked_at = Some(time(START));
    record.overrides = vec![promise];
    assert_eq!(value(&at(&record, just_before(NOW)), "exchange_replay"), "no");

    record.overrides = vec![exception("ovr_8", "payload_lineage", Effect::Deny)];
    let denial = denied(&at(&record, time(NOW)), "payload_lineage");
    assert_eq!(denial.reason.code(), "override_deny");
    assert!(denial.unlocked_by.is_empty(), "no plan beats a denial");
    // Without a usable license an override opens nothing.
    record.licenses.clear();
    record.overrides = vec![exception("ovr_9", "exchange_replay", Effect::Raise("yes".to_owned()))];
    assert_eq!(value(&at(&record, time(NOW)), "exchange_replay"), "no");
}

#[test]
fn a_pinned_license_keeps_to_the_catalog_it_was_sold_under() {
    let old = PLANS.replace("[7,         30,     90,     365]", "[7, 60, 90, 365]");
    let old = Catalog::parse(&old).expect("it is right");
    let pin = |catalog: Option<Catalog>| Pin { digest: old.digest().to_owned(), catalog };
    let pinned = License { pin: Some(pin(Some(old.clone()))), ..year("lic_1", "mid") };
    let set = at(&acme(vec![pinned.clone()]), time(NOW));
    assert_eq!(value(&set, "retention_days"), "60");

    // A feature that came later was not sold with it; a level that is gone grants nothing.
    let later = PLANS
        .replace("\"off\", \"limited\", \"full\"", "\"off\", \"limited\", \"complete\"")
        .replace("\"full\",", "\"complete\",")
        .replace("\"full\"]", "\"complete\"]")
        .replace("\n[matrix] ", "\nnew_thing = { type = \"switch\" }\n[matrix]\nnew_thing = [\"yes\", \"yes\", \"yes\", \"yes\"]");
    let later = Catalog::parse(&later).expect("it is right");
    let set = resolve(&later, &acme(vec![pinned]), time(NOW));
    assert_eq!(value(&set, "new_thing"), "no");
    assert_eq!(value(&set, "payload_lineage"), "off");
    assert_eq!(value(&set, "cross_service_correlation"), "yes");

    // A catalog that nobody has any more is an unknown plan.
    let lost = License { pin: Some(pin(None)), ..year("lic_1", "mid") };
    let set = at(&acme(vec![lost]), time(NOW));
    assert_eq!(set.state(), State::UnknownPlan);
    assert!(set.usable().expect_err("unknown").detail.contains("is not stored"));
}

#[test]
fn the_state_tells_of_the_license_that_matters() {
    let past = License { ends_at: Some(time(NOW)), grace: Duration::ZERO, ..year("lic_1", "mid") };
    let future = License { starts_at: time(END), ends_at: None, ..license("lic_2", "mid") };
    let soon = at(&acme(vec![past.clone(), future]), time(NOW));
    assert_eq!(soon.state(), State::NotYetValid);
    assert!(soon.usable().expect_err("not yet").detail.contains("starts at 2027-01-01"));
    let revoked_later =
        License { revoked_at: Some(time(NOW) + Duration::from_secs(1)), ..license("lic_3", "mid") };
    let last = at(&acme(vec![revoked_later, past]), time(END));
    assert_eq!(last.state(), State::LicenseRevoked);
    assert_eq!(at(&acme(Vec::new()), time(NOW)).state(), State::NoLicense);
}

/// An add-on adds to what the licenses give: beside a raise to 20, ten on top of seven help nobody
/// who needs more than that.
#[test]
fn an_add_on_does_not_add_to_a_raise() {
    let text = format!("{PLANS}\n[addons.pack]\nretention_days = 10");
    let catalog = Catalog::parse(&text).expect("it is right");
    let mut record = acme(vec![year("lic_1", "low")]);
    let raise = Effect::Raise("20".to_owned());
    record.overrides = vec![exception("ovr_1", "retention_days", raise)];
    let set = resolve(&catalog, &record, time(NOW));
    assert_eq!(denied(&set, "retention_days=25").unlocked_by, ["mid", "high", "business"]);
    let told = set.explain().iter().find(|row| row.feature.as_str() == "retention_days");
    assert_eq!(told.expect("it is told").unlocked_by, ["mid", "high", "business"]);
    record.overrides.clear();
    let set = resolve(&catalog, &record, time(NOW));
    let offers = ["mid", "high", "business", "addon:pack"];
    assert_eq!(denied(&set, "retention_days=17").unlocked_by, offers);
}

/// Low (7) with three packs of ten has 37 days; mid (30) beside the same packs has 60.
#[test]
fn a_tier_counts_together_with_the_add_ons_that_are_there() {
    let text = format!("{PLANS}\n[addons.pack]\nretention_days = 10");
    let catalog = Catalog::parse(&text).expect("it is right");
    let packs = License { kind: LicenseKind::Addon, quantity: 3, ..year("lic_2", "pack") };
    let mut record = acme(vec![year("lic_1", "low"), packs]);
    let set = resolve(&catalog, &record, time(NOW));
    assert_eq!(denied(&set, "retention_days=60").unlocked_by, ["mid", "high", "business"]);
    let offers = ["mid", "high", "business", "addon:pack"];
    assert_eq!(denied(&set, "retention_days=47").unlocked_by, offers);
    record.licenses.push(year("lic_3", "mid"));
    assert_eq!(value(&resolve(&catalog, &record, time(NOW)), "retention_days"), "60");
}

/// What waits for a license, an add-on or an exception, comes with the cheapest tier; what is
/// denied comes with none.
#[test]
fn a_tenant_without_a_license_is_told_what_opens_the_feature_to_it() {
    let text = format!("{PLANS}\n[addons.replay_pack]\nexchange_replay = \"yes\"");
    let catalog = Catalog::parse(&text).expect("it is right");
    let pack = License { kind: LicenseKind::Addon, ..year("lic_1", "replay_pack") };
    let check = |licenses: &[License], effect: Option<Effect>, expected: &[&str]| {
        let mut record = acme(licenses.to_vec());
        record.overrides.extend(effect.map(|it| exception("ovr_1", "exchange_replay", it)));
        let set = resolve(&catalog, &record, time(NOW));
        let denial = denied(&set, "exchange_replay");
        assert_eq!(denial.reason.code(), "no_license");
        assert_eq!(denial.unlocked_by, expected);
        assert_eq!(set.explain()[4].unlocked_by, expected);
        // And so it comes: nothing opens it but what is named.
        for tier in ["low", "mid", "high", "business"] {
            let mut richer = record.clone();
            richer.licenses.push(year("lic_2", tier));
            let set = resolve(&catalog, &richer, time(NOW));
            assert_eq!(value(&set, "exchange_replay") == "yes", expected.contains(&tier), "{tier}");
        }
    };
    let every = ["low", "mid", "high", "business"];
    check(&[], None, &["high", "business"]);
    check(&[], Some(Effect::Deny), &[]);
    check(&[], Some(Effect::Set("no".to_owned())), &[]);
    check(&[], Some(Effect::Set("yes".to_owned())), &every);
    check(&[], Some(Effect::Raise("yes".to_owned())), &every);
    check(slice::from_ref(&pack), None, &every);
    check(&[pack], Some(Effect::Deny), &[]);
}

/// A route that asks for no more than a known caller: who holds a plan that nobody knows is let in
/// with nothing, or refused, as the plans say it of those without a license.
#[test]
fn a_plan_that_nobody_knows_is_admitted_as_the_plans_say() {
    let record = acme(vec![year("lic_1", "platinum")]);
    let set = at(&record, time(NOW));
    assert_eq!(set.state(), State::UnknownPlan);
    assert!(set.admitted().is_ok() && set.features().all(|(_, value)| value.is_lowest()));
    let strict = PLANS.replace("on_expiry = \"lowest\"", "on_expiry = \"deny\"");
    let strict = Catalog::parse(&strict).expect("it is right");
    let denial = resolve(&strict, &record, time(NOW)).admitted().expect_err("it is refused");
    assert_eq!(denial.reason.code(), "unknown_plan");
}

#[test]
fn denials_say_what_is_there_what_is_needed_and_what_would_help() {
    let set = at(&acme(vec![year("lic_1", "low")]), time(NOW));
    let denial = denied(&set, "exchange_replay");
    assert_eq!(denial.reason.code(), "not_in_plan");
    assert_eq!((denial.current.as_deref(), denial.required.as_deref()), (Some("no"), Some("yes")));
    assert_eq!(denial.unlocked_by, ["high", "business"]);
    assert_eq!(
        denial.to_string(),
        "tier `low` of tenant `acme` does not include `exchange_replay`; it comes with `high` or `business`"
    );
    let denial = denied(&set, "payload_lineage=full");
    assert_eq!(denial.reason.code(), "level_too_low");
    assert_eq!(
        (denial.current.as_deref(), denial.required.as_deref()),
        (Some("limited"), Some("full"))
    );
    let denial = denied(&set, "retention_days=1000");
    assert!(denial.unlocked_by.is_empty());
    // A need that was read with another object of the same plans means the same.
    let need = catalog().need("payload_lineage=limited").expect("it is known");
    assert!(set.require(&need).is_ok());
    let other = Catalog::parse(&PLANS.replace("topology_graph", "other_graph")).expect("right");
    let need = other.need("other_graph").expect("it is known there");
    assert_eq!(set.require(&need).expect_err("nobody has it").reason.code(), "not_in_plan");
}
