//! The program itself: says where it listens, stops when told to.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

fn start(store: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_trace-server"))
        .args(["--listen", "127.0.0.1:0"])
        .env("TRACE_SERVER_STORE", store)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn it_says_its_address_and_stops_on_sigterm() {
    let mut program = start("sqlite::memory:");
    let mut line = String::new();
    BufReader::new(program.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let line: Value = serde_json::from_str(&line).unwrap();
    let address = line["listening"].as_str().unwrap();

    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");

    let pid = program.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(program.wait().unwrap().code(), Some(0));
}

#[test]
fn a_store_that_is_none_is_said_so() {
    let output = start("postgres://localhost/traces").wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(log.contains("write `sqlite:FILE` or `sqlite::memory:`"), "{log}");
}
