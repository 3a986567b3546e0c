//! Plans files: what is right, what is wrong, and where.

use entitlements::testing::PLANS;
use entitlements::{Catalog, FeatureKind, OnExpiry};

use crate::catalog;

/// A plans file with one part replaced.
fn edited(from: &str, to: &str) -> String {
    assert!(PLANS.contains(from), "`{from}` is not in the shipped plans");
    PLANS.replacen(from, to, 1)
}

/// The text is refused, at the first place where `at` stands in it.
#[track_caller]
fn wrong(text: &str, at: &str, parts: &[&str]) {
    let error = Catalog::parse(text).expect_err("it is wrong");
    let before = &text[..text.find(at).expect("the place is in the text")];
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    assert_eq!((error.line(), error.column()), (line, column), "{error}");
    let told = error.to_string();
    assert!(told.starts_with(&format!("line {line}, column {column}: ")), "{told}");
    assert!(!error.remedy().is_empty(), "{told}");
    for part in parts {
        assert!(told.contains(part), "`{part}` is not in: {told}");
    }
}

#[test]
fn the_shipped_plans_are_the_matrix_of_the_documentation() {
    let rendered = catalog().render();
    let expected = "\
| feature | low | mid | high | business |
|---|---|---|---|---|
| topology_graph | yes | yes | yes | yes |
| payload_lineage | limited | full | full | full |
| cross_service_correlation | no | yes | yes | yes |
| live_route_debugger | no | no | yes | yes |
| exchange_replay | no | no | yes | yes |
| retention_days (days) | 7 | 30 | 90 | 365 |
";
    assert_eq!(rendered, expected);
}

#[test]
fn the_shipped_plans_read_as_written() {
    let catalog = catalog();
    assert_eq!(catalog.name(), "traces");
    assert_eq!(catalog.terms().grace.as_secs(), 7 * 86_400);
    assert_eq!(catalog.terms().on_expiry, OnExpiry::Lowest);
    let retention = &catalog.features()[5];
    assert_eq!(retention.kind(), &FeatureKind::Number(Some("days".to_owned())));
    assert_eq!(catalog.features()[1].title(), "Payload lineage");
}

#[test]
fn the_digest_is_about_meaning() {
    let digest = |text: &str| Catalog::parse(text).expect("it is right").digest().to_owned();
    let shipped = digest(PLANS);
    assert_eq!(shipped.len(), 64);
    assert_eq!(digest(&edited("# example figures", "")), shipped);
    assert_eq!(digest(&edited("\"Topology graph\"", "\"Map\"")), shipped);
    assert_ne!(digest(&edited("[7, ", "[8, ")), shipped);
    assert_ne!(digest(&edited("\"7d\"", "\"8d\"")), shipped);
    assert_ne!(digest(&edited("\"lowest\"", "\"deny\"")), shipped);
    assert_ne!(digest(&format!("{PLANS}\n[aliases]\nsilver = \"mid\"")), shipped);
}

#[test]
fn places_are_counted_as_editors_count() {
    let error =
        Catalog::parse("schema = 1\n# \u{e9}\ncatalog = \"\u{e9}\"\ntiers = []").unwrap_err();
    assert_eq!((error.line(), error.column()), (3, 11), "{error}");
    let error = Catalog::parse("schema = 1\n\u{e9} = 1").unwrap_err();
    assert_eq!((error.line(), error.column()), (2, 1), "{error}");
}

#[test]
fn every_mistake_has_its_place_and_remedy() {
    wrong("schema = 2", "2", &["schema `2`", "`schema = 1`"]);
    wrong("schema = 1\ncatalog = ]", "]", &["TOML"]);
    wrong(&edited("[license]", "[licence]"), "licence]", &["`licence`", "`license`"]);
    wrong(&edited("grace ", "grase "), "grase", &["`grase`", "`grace`, `on_expiry`"]);
    wrong(&edited("\"7d\"", "\"7\""), "\"7\"", &["`7`", "`7d`"]);
    wrong(&edited("\"lowest\"", "\"off\" # x"), "\"off\" # x", &["`off`", "`lowest` or `deny`"]);
    let row = "[7,         30,     90,     365]";
    let short = edited(row, "[7, 30, 90]");
    wrong(&short, "retention_days            = [", &["3 values for 4 tiers", "`business`"]);
    wrong(&edited(row, "[7, 30, 90, 89]"), "89]", &["`90`", "allow_regression"]);
    wrong(&edited(row, "[7, 30, 90, -1]"), "-1]", &["no value `-1`", "from 0 on"]);
    wrong(&edited(row, "[7, 30, 90, \"x\"]"), "\"x\"]", &["no value `x`"]);
    wrong(&edited(row, "7"), "7   # example", &["a whole number instead of a list"]);
    let cell = "[\"limited\", \"full\", ";
    wrong(
        &edited(cell, "[\"some\", \"full\","),
        "\"some\"",
        &["`some`", "`off`, `limited`, `full`"],
    );
    wrong(&edited(cell, "[true, \"full\","), "true,", &["`true`"]);
    let undeclared = edited("exchange_replay           = [", "exchange_reply = [");
    wrong(
        &undeclared,
        "exchange_reply",
        &["`exchange_reply` is not declared", "`exchange_replay`"],
    );
    let missing = edited("\nretention_days            = [7,", "\n# [");
    wrong(&missing, "matrix]          ", &["`retention_days` has no row"]);
    let kind = "type = \"number\"";
    wrong(
        &edited(kind, "type = \"text\""),
        "\"text\"",
        &["`text`", "`switch`, `level` or `number`"],
    );
    wrong(&edited(&format!("           {kind},"), ""), "retention_days", &["has no type"]);
    wrong(
        &edited("unit = \"days\"", "levels = [\"a\"]"),
        "levels = [\"a\"]",
        &["`levels` means nothing"],
    );
    wrong(&edited("unit = \"days\"", "units = \"days\""), "units", &["`units`", "`unit`"]);
    let levels = "[\"off\", \"limited\", \"full\"]";
    wrong(
        &edited(levels, "[\"off\", \"on\", \"off\" ]"),
        "\"off\" ]",
        &["`off` stands there twice"],
    );
    wrong(&edited(levels, "[\"off\"]"), "[\"off\"]", &["1 levels"]);
    wrong(&edited("\"business\"]  ", "\"low\"]  "), "\"low\"]", &["tier `low` stands there twice"]);
    wrong(
        &edited("\"business\"]  ", "\"Business\"]  "),
        "\"Business\"",
        &["`Business` is not a name"],
    );
    let upper = edited("topology_graph            = {", "Topology = {");
    wrong(&upper, "Topology = {", &["`Topology` is not a feature"]);
    wrong(&edited("schema  = 1", "schema  = 1\nschema = 1"), "schema = 1", &["duplicate"]);
    let error = Catalog::parse("catalog = \"a\"").unwrap_err().to_string();
    assert!(error.contains("`schema` is missing") && error.contains("add `schema = 1`"), "{error}");
}

#[test]
fn addons_and_aliases_are_checked_too() {
    let with = |rest: &str| format!("{PLANS}\n{rest}");
    let right = with(
        "[addons.replay_pack]\nexchange_replay = \"yes\"\nretention_days = 30\n[aliases]\nsilver = \"mid\"",
    );
    let catalog = Catalog::parse(&right).expect("it is right");
    assert_eq!(catalog.tier("silver").expect("an alias").name(), "mid");
    assert_eq!(catalog.addons()[0].name(), "replay_pack");

    wrong(&with("[addons.high]\nexchange_replay = \"yes\""), "high]\n", &["name of a tier"]);
    wrong(&with("[addons.a]\nexchange_replay = \"no\" "), "\"no\" ", &["lowest value"]);
    wrong(&with("[addons.a]\nothers = \"no\""), "others", &["`others` is not declared"]);
    wrong(&with("[addons.zz]"), "zz]", &["gives nothing"]);
    wrong(&with("[aliases]\nlow = \"mid\""), "low = ", &["is the name of a tier"]);
    wrong(
        &with("[aliases]\nsilver = \"gold\""),
        "\"gold\"",
        &["`gold`, which is no tier", "`low`, `mid`"],
    );
    wrong(&with("[aliases]\nsilver = \"mid\"\nsilver  = \"low\""), "silver  =", &["duplicate"]);
}

#[test]
fn a_regression_may_be_allowed_by_name() {
    let text = edited("365]", "30]")
        .replace("[features]", "allow_regression = [\"retention_days\"]\n[features]");
    assert!(Catalog::parse(&text).is_ok());
    let text = text.replace("[\"retention_days\"]", "[\"retention\"]");
    wrong(&text, "\"retention\"", &["`retention` is not declared"]);
}

#[test]
fn needs_are_read_against_the_catalog() {
    let catalog = catalog();
    for text in [
        "topology_graph",
        "topology_graph=yes",
        "payload_lineage",
        "payload_lineage=limited",
        "retention_days=30",
    ] {
        let need = catalog.need(text).expect(text);
        assert_eq!(need.to_string(), text);
    }
    assert_eq!(catalog.need("payload_lineage").expect("known").minimum().to_string(), "limited");
    for (text, part) in [
        ("topology", "`topology` is not in catalog"),
        ("", "is not in catalog"),
        ("payload_lineage=more", "`off`, `limited`, `full`"),
        ("payload_lineage=off", "every tenant has"),
        ("topology_graph=no", "every tenant has"),
        ("retention_days=0", "every tenant has"),
        ("retention_days=-1", "a whole number"),
        ("retention_days=", "a whole number"),
        ("topology_graph=", "`yes` or `no`"),
        ("Topology_graph", "is not in catalog"),
    ] {
        let error = catalog.need(text).expect_err(text).to_string();
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
}
