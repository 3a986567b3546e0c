//! The file: what comes back, and that nothing else is ever taken.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use proptest::prelude::*;

use super::*;
use crate::catalog::Catalog;
use crate::model::{
    Effect, License, LicenseKind, LicenseSource, Override, Pin, TenantStatus, parse_time,
};

const PLANS: &str = include_str!("../../../plans.toml");

fn key(byte: u8) -> SnapshotKey {
    SnapshotKey::new(&[byte; 32]).expect("it is long enough")
}

fn noon() -> SystemTime {
    parse_time("2026-11-22T12:00:00Z").expect("it is a time")
}

/// One of everything.
fn full() -> Snapshot {
    let catalog = Catalog::parse(PLANS).expect("the shipped plans");
    let pin = |known: bool| Pin {
        digest: if known { catalog.digest().to_owned() } else { "gone".to_owned() },
        catalog: known.then(|| catalog.clone()),
    };
    let license = |id: &str, kind, pin| License {
        id: id.to_owned(),
        kind,
        plan: "mid".to_owned(),
        pin,
        quantity: 3,
        starts_at: noon(),
        ends_at: Some(noon() + Duration::from_micros(1)),
        grace: Duration::from_hours(1),
        suspended_at: Some(noon()),
        revoked_at: Some(noon()),
        status_reason: Some("\"quoted\" \u{2028}".to_owned()),
        source: LicenseSource::Billing,
        source_ref: Some("inv-1".to_owned()),
        created_at: UNIX_EPOCH,
        created_by: "somebody".to_owned(),
    };
    let exception = |effect| Override {
        id: "ovr_1".to_owned(),
        feature: "topology_graph".parse().expect("a feature"),
        effect,
        starts_at: noon(),
        ends_at: None,
        reason: "pilot".to_owned(),
        ticket: Some("T-1".to_owned()),
        created_by: "somebody".to_owned(),
        revoked_at: None,
    };
    let acme: TenantId = "acme".parse().expect("a tenant id");
    let record = TenantRecord {
        id: acme.clone(),
        name: "Acme \u{1F680}".to_owned(),
        status: TenantStatus::Suspended,
        status_reason: Some("unpaid".to_owned()),
        revision: 7,
        licenses: vec![
            license("lic_1", LicenseKind::Base, None),
            license("lic_2", LicenseKind::Trial, Some(pin(true))),
            license("lic_3", LicenseKind::Addon, Some(pin(false))),
        ],
        overrides: vec![
            exception(Effect::Raise("yes".to_owned())),
            exception(Effect::Set("no".to_owned())),
            exception(Effect::Deny),
        ],
    };
    let organization = Organization { issuer: "https://id.test".to_owned(), id: "org".to_owned() };
    Snapshot {
        address: Some("postgres://db/plans".to_owned()),
        written_at: noon(),
        age: Duration::from_millis(1500),
        place: Place { store: "one".to_owned(), seq: 42, mark: "\"m".to_owned() },
        tenant_count: Some(1),
        catalog: catalog.digest().to_owned(),
        tenants: vec![Arc::new(record)],
        organizations: vec![(organization, acme)],
        extras: BTreeMap::from([("keys".to_owned(), "{}".to_owned())]),
    }
}

/// All of it, as it was written.
fn whole(shelf: &Shelf) -> Result<Snapshot, SnapshotError> {
    let mut snapshot = shelf.without_lines();
    for entry in shelf.entries() {
        match entry? {
            Entry::Tenant(tenant) => snapshot.tenants.push(tenant),
            Entry::Organization(name, tenant) => snapshot.organizations.push((name, tenant)),
        }
    }
    Ok(snapshot)
}

fn read(path: &Path, key: &SnapshotKey) -> Result<Snapshot, SnapshotError> {
    whole(&open(path, key)?)
}

fn parse(contents: &[u8]) -> Result<Snapshot, SnapshotError> {
    whole(&Shelf::new(contents.to_vec(), 0)?)
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tiergate.snapshot");
    (folder, path)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn what_is_written_comes_back() {
    let (folder, path) = place();
    assert!(matches!(read(&path, &key(1)), Err(SnapshotError::Missing)));
    write(&path, &key(1), &full()).unwrap();
    let found = read(&path, &key(1)).unwrap();
    // It never says that it is younger than it is.
    assert_eq!(found.age, full().age + Duration::from_millis(1));
    assert_eq!(Snapshot { age: full().age, ..found }, full());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(names(folder.path()), ["tiergate.snapshot"], "nothing stays behind");
}

/// One among many is found without reading the others, whatever their names and lengths are.
#[test]
fn one_of_many_is_found() {
    let record = full().tenants.remove(0);
    let mut snapshot = Snapshot { tenants: Vec::new(), organizations: Vec::new(), ..full() };
    for number in 0..300_usize {
        let id: TenantId = format!("t{}-{number}", "x".repeat(number % 40)).parse().unwrap();
        let name = "n".repeat(1 + number * 7 % 150);
        let tenant = TenantRecord { id: id.clone(), name, ..TenantRecord::clone(&record) };
        snapshot.tenants.push(Arc::new(tenant));
        let name =
            Organization { issuer: "https://id.test".to_owned(), id: format!("org {id}\" é") };
        snapshot.organizations.push((name, id));
    }
    let shelf = Shelf::new(document::render(&snapshot).unwrap(), 0).unwrap();
    for (tenant, (name, id)) in snapshot.tenants.iter().zip(&snapshot.organizations) {
        assert_eq!(shelf.tenant(&tenant.id).as_ref(), Some(tenant));
        assert_eq!(shelf.tenant_of(&name.issuer, &name.id).as_ref(), Some(id));
        assert_eq!(shelf.tenant_of("https://id.tes", &name.id), None);
    }
    for nobody in ["a", "t", "t-", "tx", "z", "tx-1x"] {
        assert_eq!(shelf.tenant(&nobody.parse().unwrap()), None, "{nobody}");
    }
    assert_eq!(whole(&shelf).unwrap().tenants.len(), 300);
    let none = Snapshot { tenants: Vec::new(), organizations: Vec::new(), ..full() };
    let shelf = Shelf::new(document::render(&none).unwrap(), 0).unwrap();
    assert_eq!(shelf.tenant(&record.id), None);
}

#[test]
fn the_file_is_replaced_as_a_whole() {
    let (folder, path) = place();
    let elsewhere = folder.path().join("elsewhere");
    fs::write(&elsewhere, "precious").unwrap();
    // What a crash or somebody else left in the draft's place is neither followed nor kept.
    symlink(
        &elsewhere,
        folder.path().join(format!(".tiergate.snapshot.{}.tmp", std::process::id())),
    )
    .unwrap();
    fs::write(&path, "damaged").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    write(&path, &key(1), &full()).unwrap();
    assert!(read(&path, &key(1)).is_ok());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "precious");

    // One that cannot be replaced stays, and so does the old content.
    let blocked = folder.path().join("folder");
    fs::create_dir_all(blocked.join("child")).unwrap();
    assert!(matches!(write(&blocked, &key(1), &full()), Err(SnapshotError::Write(_))));
    let mut left = names(folder.path());
    left.sort();
    assert_eq!(left, ["elsewhere", "folder", "tiergate.snapshot"]);
    let nowhere = folder.path().join("no").join("where");
    assert!(matches!(write(&nowhere, &key(1), &full()), Err(SnapshotError::Write(_))));
}

#[test]
fn a_refusal_says_which() {
    let (_folder, path) = place();
    write(&path, &key(1), &full()).unwrap();
    let good = fs::read(&path).unwrap();
    let refused = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        read(&path, &key(1)).expect_err("it is refused").to_string()
    };
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    assert_eq!(refused(b""), "it is not a snapshot");
    assert_eq!(refused(b"SQLite format 3\0"), "it is not a snapshot");
    assert_eq!(refused(&with(25, 2)), "it has version 2; this program reads version 1");
    assert!(refused(&with(26, !good[26])).starts_with("it was written with another key"));
    assert!(refused(&good[..good.len() - 1]).starts_with("it is cut off"));
    assert!(refused(&[&good[..], b" "].concat()).starts_with("it is cut off"));
    assert!(refused(&with(good.len() - 1, b' ')).starts_with("it is damaged or forged"));
    // With the right code, but not of this form: parsed strictly.
    for contents in ["", "{}", "[]", "null", "{\"written_at\":0}"] {
        let error = refused(&seal::seal(&key(1), contents.as_bytes()));
        assert!(error.starts_with("it cannot be understood"), "{error}");
    }
    let text = String::from_utf8(document::render(&full()).unwrap()).unwrap();
    for (from, to) in [
        ("{\"written_at\"", "{\"more\":1,\"written_at\""),
        ("{\"written_at\"", "{\"age_ms\":1,\"written_at\""),
        ("\"acme\"", "\"Acme\""),
        ("\"suspended\"", "\"actve\""),
        ("\"effect\":\"deny\",\"value\":null", "\"effect\":\"deny\",\"value\":\"yes\""),
        ("\"effect\":\"raise\"", "\"effect\":\"lift\""),
        ("\"kind\":\"base\"", "\"kind\":\"bas\""),
        ("\"quantity\":3", "\"quantity\":-3"),
    ] {
        assert!(text.contains(from), "{from}");
        let error = refused(&seal::seal(&key(1), text.replacen(from, to, 1).as_bytes()));
        assert!(error.starts_with("it cannot be understood"), "{from}: {error}");
    }
    // A pinned catalog that cannot be read, or is not the one of its digest, gives nobody anything;
    // what does not keep to it is as before.
    let (pin, zeros) = (full().catalog, "0".repeat(64));
    for (from, to) in
        [("payload_lineage", "payload_lineages"), ("[matrix]", "[matrx]"), (&pin, &zeros)]
    {
        assert!(text.contains(from), "{from}");
        fs::write(&path, seal::seal(&key(1), text.replace(from, to).as_bytes())).unwrap();
        let tenant = read(&path, &key(1)).unwrap().tenants.remove(0);
        let catalogs: Vec<_> = tenant
            .licenses
            .iter()
            .map(|it| it.pin.as_ref().map(|pin| pin.catalog.is_some()))
            .collect();
        assert_eq!(catalogs, [None, Some(false), Some(false)], "{from}");
    }
    // A folder, and a sparse file of more than the most.
    let folder = path.with_extension("d");
    fs::create_dir(&folder).unwrap();
    assert!(matches!(read(&folder, &key(1)), Err(SnapshotError::Foreign)));
    fs::File::create(&path).unwrap().set_len(file::MAX_BYTES + 1).unwrap();
    assert!(matches!(read(&path, &key(1)), Err(SnapshotError::TooLarge(_))));
}

#[test]
fn every_flipped_bit_and_every_cut_is_refused() {
    let bytes = seal::seal(&key(1), &document::render(&full()).unwrap());
    let contents = seal::open(&key(1), &bytes).unwrap();
    assert!(parse(contents).is_ok());
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << bit;
            assert!(seal::open(&key(1), &changed).is_err(), "bit {bit} of byte {at}");
        }
        assert!(seal::open(&key(1), &bytes[..at]).is_err(), "cut at {at}");
        assert!(seal::open(&key(1), &bytes[at + 1..]).is_err(), "without the first {}", at + 1);
    }
    for other in [0, 2, 255] {
        assert!(matches!(seal::open(&key(other), &bytes), Err(SnapshotError::OtherKey)));
    }
}

proptest! {
    /// Whatever is done to the bytes: another file is another file, and nothing panics.
    #[test]
    fn changed_files_are_refused(
        at in any::<prop::sample::Index>(),
        length in 0_usize..64,
        new in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let bytes = seal::seal(&key(1), b"{\"some\":\"contents\"}");
        let start = at.index(bytes.len());
        let end = (start + length).min(bytes.len());
        let changed = [&bytes[..start], &new, &bytes[end..]].concat();
        prop_assert_eq!(seal::open(&key(1), &changed).is_ok(), changed == bytes);
    }

    /// The parser behind the code is total, too.
    #[test]
    fn the_parser_never_panics(
        at in any::<prop::sample::Index>(),
        new in prop::collection::vec(any::<u8>(), 0..8),
    ) {
        let mut contents = document::render(&full()).expect("it can be written");
        let start = at.index(contents.len());
        let end = (start + new.len()).min(contents.len());
        contents.splice(start..end, new);
        let _ = parse(&contents);
        if let Ok(shelf) = Shelf::new(contents, 0) {
            let _ = shelf.tenant(&"acme".parse().expect("a tenant id"));
            let _ = shelf.tenant_of("https://id.test", "org");
        }
    }
}

#[test]
fn its_age_is_that_of_the_knowledge_and_only_grows() {
    let snapshot = full();
    let moment = (snapshot.written_at, snapshot.age);
    let age = |now| age_at(&moment, now).map_err(|error| error.to_string());
    assert_eq!(age(noon()), Ok(Duration::from_millis(1500)));
    assert_eq!(age(noon() + Duration::from_hours(5)), Ok(Duration::from_millis(18_001_500)));
    // The precision of a clock adjustment takes nothing off.
    assert_eq!(age(noon() - Duration::from_secs(1)), Ok(Duration::from_millis(1500)));
    let error = age(noon() - Duration::from_hours(1)).unwrap_err();
    assert!(error.starts_with("it was written 1h from now: the clock was set back"), "{error}");
    let endless = (noon(), Duration::MAX);
    assert_eq!(age_at(&endless, noon() + Duration::from_secs(1)).unwrap(), Duration::MAX);
}

#[test]
fn keys_are_long_and_nobody_elses() {
    assert!(SnapshotKey::new(&[0; 31]).unwrap_err().to_string().contains("has 31 bytes"));
    assert!(SnapshotKey::new(&[0; 4097]).is_err());
    assert_eq!(format!("{:?}", key(7)), "SnapshotKey(..)");

    let (folder, _) = place();
    let path = folder.path().join("snapshot.key");
    let refused = || SnapshotKey::read(&path).unwrap_err().to_string();
    assert!(refused().contains("cannot be read"));
    fs::write(&path, [b'k'; 32]).unwrap();
    for mode in [0o644, 0o640, 0o604, 0o620, 0o601, 0o666] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        assert!(refused().contains("run `chmod 600 "), "{mode:o}: {}", refused());
    }
    for mode in [0o600, 0o400] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let read = SnapshotKey::read(&path).unwrap();
        assert_eq!(read.id(), key(b'k').id());
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&path, "short").unwrap();
    assert!(refused().contains("has 5 bytes"), "{}", refused());
    assert!(SnapshotKey::read(folder.path()).unwrap_err().to_string().contains("is no file"));
}
