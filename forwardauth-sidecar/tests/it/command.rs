//! The binary itself: exit codes, streams and signals.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use entitlements::testing::PLANS;

/// A configuration in a folder of its own.
pub(crate) fn folder(change: impl Fn(String) -> String) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("plans.toml"), PLANS).expect("a file");
    let text = include_str!("../../../tiergate.toml")
        .replace("127.0.0.1:4180", "127.0.0.1:0")
        .replace("127.0.0.1:4181", "127.0.0.1:0")
        .replace("https://id.example.com/oidc", "http://127.0.0.1:9/oidc");
    std::fs::write(folder.path().join("tiergate.toml"), change(text)).expect("a file");
    folder
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tiergate"));
    command.current_dir(folder).args(arguments).env_remove("TIERGATE_CONFIG");
    command
}

/// Exit code, standard output and standard error.
pub(crate) fn run(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = command(folder, arguments).output().expect("the binary runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code().expect("an exit code"), text(output.stdout), text(output.stderr))
}

#[test]
fn a_configuration_is_valid_or_told_what_is_wrong() {
    let good = folder(|text| text);
    let (code, out, err) = run(good.path(), &["config", "check"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.starts_with("tiergate.toml is valid\n"), "{out}");
    assert!(out.contains("routes   13"), "{out}");

    let warned = folder(|text| text.replace("features = [\"exchange_replay\"]", "features = []"));
    let (code, out, _) = run(warned.path(), &["config", "check"]);
    assert_eq!(code, 0);
    assert!(out.contains("warning: no route asks for the feature `exchange_replay`"), "{out}");

    let wrong = folder(|text| text.replace("trusted_proxies", "trusted_proxis"));
    for arguments in [&["config", "check"][..], &["serve"]] {
        let (code, out, err) = run(wrong.path(), arguments);
        assert_eq!((code, out.as_str()), (2, ""));
        assert!(err.starts_with("error: tiergate.toml:9:1: unknown key `trusted_proxis`"), "{err}");
    }
    let mut overlaid = command(good.path(), &["config", "check"]);
    let output = overlaid.env("TIERGATE_GATEWAY__LISTEN", "nowhere").output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    let err = String::from_utf8(output.stderr).expect("text");
    assert!(err.contains("environment variable `TIERGATE_GATEWAY__LISTEN`"), "{err}");
}

#[test]
fn usage() {
    let folder = folder(|text| text);
    assert_eq!(run(folder.path(), &["--help"]).0, 0);
    assert_eq!(run(folder.path(), &["--version"]).0, 0);
    assert_eq!(run(folder.path(), &["nonsense"]).0, 2);
    assert_eq!(run(folder.path(), &["serve", "--nonsense"]).0, 2);
    let (code, _, err) = run(folder.path(), &["serve", "--config", "nowhere.toml"]);
    assert_eq!(code, 2);
    assert!(err.starts_with("error: nowhere.toml: cannot be read"), "{err}");
}

#[test]
fn an_address_in_use_stops_the_start() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let folder = folder(|text| text.replacen("127.0.0.1:0", &address, 1));
    let (code, _, err) = run(folder.path(), &["serve"]);
    assert_eq!(code, 2);
    let error: Vec<_> = err.lines().filter(|line| !line.starts_with('{')).collect();
    assert_eq!(error[0], "error: the server cannot start");
    assert_eq!(error[1], format!("  caused by: cannot listen on `{address}`"));
    assert!(error[2].starts_with("  caused by: Address already in use"), "{err}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let folder = folder(|text| text);
    let mut child = command(folder.path(), &["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    drop(child.stdout.take());
    let mut err = String::new();
    child.stderr.take().expect("a pipe").read_to_string(&mut err).expect("text");
    assert_eq!(child.wait().expect("it ends").code(), Some(0), "{err}");
    assert_eq!(err, "");
}

/// A gateway that says it serves.
fn serving(folder: &Path) -> (Child, BufReader<std::process::ChildStderr>) {
    let mut child =
        command(folder, &["serve"]).stderr(Stdio::piped()).spawn().expect("the binary runs");
    let mut log = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut line = String::new();
    while !line.contains("\"serving\"") {
        line.clear();
        assert_ne!(log.read_line(&mut line).expect("text"), 0, "it ended before it served");
    }
    (child, log)
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([name, &child.id().to_string()]).status();
    assert!(status.expect("kill runs").success());
}

#[test]
fn a_signal_drains_and_a_second_one_hurries() {
    for (name, wait) in [("-TERM", "0s"), ("-INT", "0s"), ("-TERM", "600s")] {
        let folder = folder(|text| {
            text.replacen("[admin]", &format!("drain_wait = \"{wait}\"\n[admin]"), 1)
        });
        let (mut child, mut log) = serving(folder.path());
        signal(&child, name);
        let mut line = String::new();
        while !line.contains("\"draining\"") {
            line.clear();
            assert_ne!(log.read_line(&mut line).expect("text"), 0, "it did not drain");
        }
        if wait != "0s" {
            signal(&child, name);
        }
        let mut rest = String::new();
        log.read_to_string(&mut rest).expect("text");
        assert_eq!(child.wait().expect("it ends").code(), Some(0), "{rest}");
        assert!(rest.contains("stopped"), "{rest}");
    }
}
