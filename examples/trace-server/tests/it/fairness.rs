//! A tenant with much to store does not keep others waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use prost::Message as _;

use crate::support::{FULL, Running, export, request, span};

const BODIES: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_that_sends_much_at_once_lets_others_through() {
    let server = Running::start_with(|options| options.max_body_bytes *= 16).await;
    let done = Arc::new(AtomicUsize::new(0));
    let mut sending = Vec::new();
    for body in 0..BODIES {
        let first = u64::try_from(body).unwrap() * 5_000 + 1;
        let spans = (first..first + 5_000).map(|id| span(id, 0, "much", id)).collect();
        let mut request = request("POST", "/v1/traces", "greedy", FULL);
        request.headers_mut().insert("content-type", "application/x-protobuf".parse().unwrap());
        *request.body_mut() = Full::new(export("shop", spans).encode_to_vec().into());
        let (mut sender, done) = (server.connect().await, Arc::clone(&done));
        sending.push(tokio::spawn(async move {
            let answer = sender.send_request(request).await.unwrap();
            answer.into_body().collect().await.unwrap();
            done.fetch_add(1, Ordering::SeqCst);
        }));
    }
    // Until all of them have arrived and wait.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let before = done.load(Ordering::SeqCst);
    server.export_ok("modest", &export("shop", vec![span(1, 0, "little", 0)])).await;
    let meanwhile = done.load(Ordering::SeqCst) - before;
    assert!(meanwhile <= 4, "waited for {meanwhile} of another tenant's requests");
    assert!(before < 6, "{before} were stored before the test began");
    for one in sending {
        one.await.unwrap();
    }
    server.stop().await;
}
