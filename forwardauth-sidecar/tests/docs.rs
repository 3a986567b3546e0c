//! The tables of the README say what the code says.

use std::collections::BTreeMap;

use auth_core::{Fault, Reason};
use entitlements::Catalog;
use tiergate::config::{Config, Environment};
use tiergate::proxy::IDENTITY_HEADERS;

const README: &str = include_str!("../../README.md");

/// What stands between two markers.
#[track_caller]
fn section(name: &str) -> &'static str {
    let (begin, end) = (format!("<!-- {name}:begin -->\n"), format!("<!-- {name}:end -->"));
    let (_, rest) = README.split_once(&begin).expect("the README has the section");
    rest.split_once(&end).expect("the section ends").0
}

#[track_caller]
fn check(name: &str, expected: &str) {
    assert!(section(name) == expected, "the README's `{name}` should be:\n{expected}");
}

#[test]
fn every_reason_is_documented() {
    let mut by_status: BTreeMap<u16, Vec<Reason>> = BTreeMap::new();
    for reason in tiergate::reason::all().into_values() {
        by_status.entry(reason.fault().status().as_u16()).or_default().push(reason);
    }
    let mut table =
        String::from("| status | reason | what it means | what helps |\n|---|---|---|---|\n");
    for (status, reasons) in by_status {
        for r in reasons {
            let (code, title, remedy) = (r.code(), r.title(), r.remedy());
            table += format!("| {status} | `{code}` | {title} | {remedy} |\n").as_str();
        }
    }
    check("reasons", &table);
}

#[test]
fn the_matrix_is_that_of_the_plans() {
    let catalog = Catalog::parse(include_str!("../../plans.toml")).expect("the shipped plans");
    check("plans", &catalog.render());
}

/// What the README says a configuration comes down to is one, and so are its commands' files.
#[test]
fn the_configuration_of_the_readme_is_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let plans = include_str!("../../plans.toml");
    std::fs::write(folder.path().join("plans.toml"), plans).expect("a file");
    let (_, rest) = README.split_once("```toml\n").expect("it shows one");
    let (text, _) = rest.split_once("```").expect("it ends");
    let path = folder.path().join("tiergate.toml");
    let config = Config::parse(&path, text, &Environment::empty()).expect("no mistake");
    assert_eq!(config.routes.iter().len(), 4);
}

#[test]
fn every_identity_header_is_documented() {
    let documented: Vec<_> = README.lines().filter_map(|l| l.strip_prefix("| `X-")).collect();
    assert_eq!(documented.len(), IDENTITY_HEADERS.len());
    for (line, name) in documented.iter().zip(IDENTITY_HEADERS) {
        assert_eq!(line.split('`').next().map(|rest| format!("X-{rest}")).as_deref(), Some(name));
    }
}

#[test]
fn the_codes_are_stable() {
    // One may be added here; none may change or go, because dashboards and scripts name them.
    let codes: Vec<_> = tiergate::reason::all().into_keys().collect();
    let stable: Vec<_> = include_str!("reasons.txt").lines().collect();
    assert_eq!(codes, stable);
    assert!(tiergate::reason::all().values().all(|r| matches!(
        r.fault(),
        Fault::Request | Fault::Caller | Fault::Rights | Fault::Ours
    )));
}
