//! Denials said the way gRPC says them: 200, with the status in headers and no body.

use std::convert::Infallible;

use auth_core::gate::{Denial, GateLayer, RequireLayer, Requirement};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tower::{Layer as _, Service as _, ServiceExt as _, service_fn};

use crate::{API, gate};

/// `Trailers-Only` of gRPC over HTTP/2.
#[expect(clippy::needless_pass_by_value, reason = "the layers hand over the denial")]
fn grpc(denial: Denial) -> Response<Full<Bytes>> {
    let code = match denial.reason.fault().status().as_u16() {
        401 => 16,
        403 => 7,
        _ => 14,
    };
    Response::builder()
        .header("content-type", "application/grpc")
        .header("grpc-status", code)
        .header("grpc-message", denial.reason.code())
        .body(Full::default())
        .expect("a code is ASCII")
}

#[tokio::test]
async fn both_layers_refuse_as_they_are_told() {
    let (issuer, gate) = gate();
    let need = Requirement::tenant()
        .scopes(["traces:replay"])
        .features(gate.entitlements().catalog(), ["exchange_replay"])
        .expect("the catalog has the feature");
    let inner = service_fn(async |_: Request<()>| {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("replayed")))
    });
    let inner = RequireLayer::new(need).refuse_with(grpc).layer(inner);
    let mut service = GateLayer::new(gate).refuse_with(grpc).layer(inner);
    let sign = |organization: &str, scopes: &[&str]| {
        issuer.token(API).organization(organization).scopes(scopes.iter().copied()).sign()
    };
    for (token, status, reason) in [
        // By the outer layer, which knows the caller,
        (None, "16", "no_credential"),
        (Some("opaque".to_owned()), "16", ""),
        (Some(sign("nobody", &["traces:replay"])), "7", "unknown_tenant"),
        // by the inner one, which knows what the route needs,
        (Some(sign("globex", &[])), "7", "insufficient_scope"),
        (Some(sign("acme", &["traces:replay"])), "7", "not_in_plan"),
        // and by neither.
        (Some(sign("globex", &["traces:replay"])), "", ""),
    ] {
        let mut request = Request::new(());
        if let Some(token) = &token {
            let value = format!("Bearer {token}").parse().expect("ASCII");
            request.headers_mut().insert("authorization", value);
        }
        let answer =
            service.ready().await.expect("never fails").call(request).await.expect("never fails");
        assert_eq!(answer.status(), StatusCode::OK);
        let header = |name| answer.headers().get(name).map_or("", |v| v.to_str().expect("ASCII"));
        assert_eq!(header("grpc-status"), status, "{reason}");
        assert_eq!(header("www-authenticate"), "", "nothing of the default is left");
        if !reason.is_empty() {
            assert_eq!(header("grpc-message"), reason);
        }
    }
}
