//! The demo's identity provider: discovery, key set and token endpoint, in the shape of Logto's.

mod token;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use auth_core::Algorithm;
use auth_core::testing::TestIssuer;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::say;

/// Answers until the process is ended.
///
/// # Errors
///
/// If the address cannot be listened on.
pub(crate) async fn serve(listen: SocketAddr) -> Result<(), String> {
    let listener =
        TcpListener::bind(listen).await.map_err(|e| format!("cannot listen on `{listen}`: {e}"))?;
    let issuer = Arc::new(TestIssuer::new(format!("http://{listen}/oidc"), Algorithm::Es384));
    say(&json!({ "issuer": issuer.url() }).to_string());
    loop {
        let (stream, _) =
            listener.accept().await.map_err(|e| format!("cannot accept connections: {e}"))?;
        let issuer = Arc::clone(&issuer);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let issuer = Arc::clone(&issuer);
                async move { Ok::<_, Infallible>(answer(&issuer, request).await) }
            });
            // A client that goes away in the middle is no concern of the provider.
            drop(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await,
            );
        });
    }
}

async fn answer(issuer: &TestIssuer, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let method = request.method().clone();
    match (&method, request.uri().path()) {
        (&Method::GET, "/oidc/.well-known/openid-configuration") => {
            json_answer(StatusCode::OK, &discovery(issuer.url()))
        }
        (&Method::GET, "/oidc/jwks") => plain_answer(StatusCode::OK, issuer.jwks()),
        (&Method::POST, "/oidc/token") => {
            let Ok(body) = Limited::new(request.into_body(), MAX_FORM).collect().await else {
                return json_answer(
                    StatusCode::BAD_REQUEST,
                    &token::Refusal::invalid_request("the form cannot be read").document(),
                );
            };
            let form = String::from_utf8_lossy(&body.to_bytes()).into_owned();
            match token::issue(issuer, &form) {
                Ok(document) => json_answer(StatusCode::OK, &document),
                Err(refusal) => json_answer(refusal.status, &refusal.document()),
            }
        }
        _ => json_answer(StatusCode::NOT_FOUND, &json!({ "error": "not_found" })),
    }
}

fn discovery(issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "jwks_uri": format!("{issuer}/jwks"),
        "token_endpoint": format!("{issuer}/token"),
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["client_secret_post"],
        "id_token_signing_alg_values_supported": ["ES384"],
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
    })
}

fn json_answer(status: StatusCode, document: &Value) -> Response<Full<Bytes>> {
    plain_answer(status, document.to_string())
}

fn plain_answer(status: StatusCode, json: String) -> Response<Full<Bytes>> {
    Response::builder()
        .status(status)
        .header(CONTENT_TYPE, "application/json")
        .header(CACHE_CONTROL, "no-store")
        .body(Full::new(Bytes::from(json)))
        .expect("a response of constant headers is well-formed")
}

/// The largest form that the token endpoint reads.
const MAX_FORM: usize = 16 * 1024;
