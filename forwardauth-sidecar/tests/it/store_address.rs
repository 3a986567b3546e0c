//! Where a store is: an address with a password comes from a file that only its owner may read.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::command::{folder, run};

/// Nobody listens there.
const SECRET: &str = "postgres://tiergate:secret-0815@127.0.0.1:9/tiergate";

fn write(folder: &Path, name: &str, text: &str, mode: u32) {
    let path = folder.join(name);
    std::fs::write(&path, format!("{text}\n")).expect("a file");
    std::fs::set_permissions(&path, Permissions::from_mode(mode)).expect("it is ours");
}

/// Every command that is told a store, with `STORE` where it is told.
const COMMANDS: [&str; 10] = [
    "tenant list --store STORE",
    "license list --store STORE",
    "override list --store STORE",
    "audit verify --store STORE",
    "check rubbish --store STORE",
    "explain rubbish --store STORE",
    "plans check --store STORE",
    "plans diff plans.toml plans.toml --store STORE",
    "store copy STORE sqlite:copy.db",
    "store copy sqlite:here.db STORE",
];

fn words<'a>(line: &'a str, store: &'a str) -> Vec<&'a str> {
    line.split(' ').map(|word| if word == "STORE" { store } else { word }).collect()
}

#[test]
fn every_command_reads_the_address_from_a_file() {
    let folder = folder(|text| text);
    let folder = folder.path();
    let add = ["tenant", "add", "acme", "--store", "sqlite:here.db", "--plans", "plans.toml"];
    assert_eq!(run(folder, &add).0, 0);
    write(folder, "here", "sqlite:here.db", 0o644);
    write(folder, "gone", "sqlite:gone.db", 0o600);
    write(folder, "rubbish", "secret-0815", 0o600);
    for line in COMMANDS {
        let (code, _, err) = run(folder, &words(line, "@nowhere"));
        assert_eq!(code, 2, "{line}: {err}");
        assert!(err.contains("`nowhere`, which names a store, cannot be read"), "{line}: {err}");
        let (code, _, err) = run(folder, &words(line, "@rubbish"));
        assert_eq!(code, 2, "{line}: {err}");
        assert!(err.contains("`rubbish` names no store; write `sqlite:FILE`"), "{line}: {err}");
        assert!(!err.contains("secret-0815"), "{line}: {err}");
    }
    for line in &COMMANDS[..8] {
        let same = run(folder, &words(line, "@here"));
        assert_eq!(same, run(folder, &words(line, "sqlite:here.db")), "{line}");
    }
    assert!(run(folder, &words(COMMANDS[0], "@here")).1.contains("acme"));
    let (code, _, err) = run(folder, &words(COMMANDS[0], "@gone"));
    assert!(code == 2 && err.contains("there is no store at `gone.db`"), "{err}");
}

#[test]
fn a_password_that_others_may_read_is_warned_of() {
    let folder =
        folder(|text| text.replace("url       = \"sqlite:tiergate.db\"", "url_file = \"address\""));
    let folder = folder.path();
    write(folder, "here", "sqlite:here.db", 0o644);
    let add = ["tenant", "add", "acme", "--store", "@here", "--plans", "plans.toml"];
    let (code, _, err) = run(folder, &add);
    assert_eq!((code, err.as_str()), (0, ""), "a file's name is no secret");
    let warned = |line: &str, file: &str| {
        let (_, out, err) = run(folder, &words(line, file));
        assert!(!(out.contains("secret-0815") || err.contains("secret-0815")), "{out}{err}");
        let warning = "holds a password and is open to others (mode 0640); run `chmod 600 ";
        err.matches(&format!("warning: `{}` {warning}", file.trim_start_matches('@'))).count()
    };
    write(folder, "address", SECRET, 0o640);
    for line in COMMANDS {
        assert_eq!(warned(line, "@address"), 1, "{line}");
    }
    let configured = ["tenant list", "check rubbish", "plans check --config tiergate.toml"];
    for line in configured {
        assert_eq!(warned(line, "address"), 1, "{line}");
    }
    let (code, out, _) = run(folder, &["config", "check"]);
    assert!(code == 0 && out.contains("warning: `address` holds a password"), "{out}");

    write(folder, "address", SECRET, 0o600);
    for line in COMMANDS.into_iter().chain(configured) {
        assert_eq!(warned(line, "@address"), 0, "{line}");
    }
}
