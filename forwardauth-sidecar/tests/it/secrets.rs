//! Nothing that opens a door is ever written down.

use std::io;
use std::sync::{Arc, Mutex};

use tiergate::config::{Log, LogFormat};
use tiergate::telemetry::log;

use crate::harness::{API, Gateway, Question};

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Asks all sorts of questions with all sorts of secrets, and returns what was logged.
///
/// The runtime has one thread, so that everything is logged to this test's subscriber.
async fn log_of(format: LogFormat) -> (String, Vec<String>) {
    let buffer = Buffer::default();
    let writer = buffer.clone();
    let settings = Log { format, level: "trace,h2=info,hyper=info,mio=info".to_owned() };
    let guard =
        tracing::subscriber::set_default(log::subscriber(&settings, move || writer.clone()));

    let gateway = Gateway::start().await;
    let good = gateway.token("low-co");
    let subject = "person-4711@example.com";
    let person = gateway.issuer.token(API).subject(subject).organization("low-co").sign();
    let mut bad = good.clone();
    bad.replace_range(bad.len() - 8.., "AAAAAAAA");
    for token in [&good, &person, &bad] {
        for uri in ["/topology", "/replay", "/nowhere", "/a/../b"] {
            let question = Question::new(&format!("{uri}?access_token=query-secret-0815"))
                .bearer(token)
                .line("Cookie", "session=cookie-secret-0815")
                .line("Proxy-Authorization", "Basic proxy-secret-0815");
            gateway.ask(&question).await;
        }
    }
    let basic = Question::new("/topology").line("Authorization", "Basic basic-secret-0815");
    gateway.ask(&basic).await;
    drop(guard);

    let text = String::from_utf8(buffer.0.lock().expect("no panic").clone()).expect("text");
    let mut secrets: Vec<String> =
        ["query", "cookie", "proxy", "basic"].map(|name| format!("{name}-secret-0815")).to_vec();
    for token in [good, person, bad] {
        // Not the whole, not the payload, not the signature.
        secrets.extend(token.split('.').skip(1).map(str::to_owned));
        secrets.push(token);
    }
    secrets.push(subject.to_owned());
    (text, secrets)
}

#[tokio::test]
async fn the_log_holds_no_secret() {
    for format in [LogFormat::Json, LogFormat::Pretty] {
        let (text, secrets) = log_of(format).await;
        for reason in ["not_in_plan", "insufficient_scope", "bad_signature", "no_route"] {
            assert!(text.contains(reason), "{reason} is not in the log:\n{text}");
        }
        for secret in secrets {
            assert!(!text.contains(&secret), "`{secret}` is in the log:\n{text}");
        }
    }
}

#[tokio::test]
async fn each_denial_is_one_line_with_id_and_reason() {
    let (text, _) = log_of(LogFormat::Json).await;
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("json")).collect();
    let denials: Vec<_> = lines.iter().filter(|line| line["message"] == "denied").collect();
    assert!(denials.len() >= 10);
    for denial in &denials {
        assert!(denial["decision_id"].as_str().is_some_and(|id| id.len() == 36), "{denial}");
        assert!(denial["reason"].is_string(), "{denial}");
    }
    let lacking = denials.iter().find(|denial| denial["reason"] == "not_in_plan");
    let lacking = lacking.expect("the replay was denied");
    assert_eq!(lacking["feature"], "exchange_replay");
    assert_eq!(lacking["route"], "app.test GET /replay");
    assert_eq!(lacking["url"], "https://app.test/replay");
}
