//! What the sender is told.

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message;
use serde_json::json;

use super::{Batch, Format};
use crate::problem::{Problem, Reason};
use crate::server::body::{ResponseBody, with_type};

/// `google.rpc.Status` without its details.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

/// The answer to a request that was taken, perhaps without some of its spans.
pub(crate) fn success(format: Format, batch: &Batch) -> Response<ResponseBody> {
    let (rejected, message) = (batch.rejected(), batch.message());
    match format {
        Format::Protobuf => {
            let partial_success = (rejected > 0).then(|| ExportTracePartialSuccess {
                rejected_spans: i64::try_from(rejected).unwrap_or(i64::MAX),
                error_message: message,
            });
            let body = ExportTraceServiceResponse { partial_success }.encode_to_vec();
            with_type(format.content_type(), body)
        }
        Format::Json if rejected == 0 => with_type(format.content_type(), "{}"),
        Format::Json => {
            let partial = json!({ "rejectedSpans": rejected.to_string(), "errorMessage": message });
            with_type(format.content_type(), json!({ "partialSuccess": partial }).to_string())
        }
    }
}

/// The answer to a request that was not taken.
pub(crate) fn failure(format: Format, problem: &Problem) -> Response<ResponseBody> {
    let reason = problem.reason();
    let status = RpcStatus {
        code: rpc_code(reason),
        message: match problem.detail() {
            "" => reason.code().into(),
            detail => format!("{}: {detail}", reason.code()),
        },
    };
    let mut response = match format {
        Format::Protobuf => with_type(format.content_type(), status.encode_to_vec()),
        Format::Json => with_type(
            format.content_type(),
            json!({ "code": status.code, "message": status.message }).to_string(),
        ),
    };
    *response.status_mut() = reason.status();
    if matches!(reason, Reason::StoreUnavailable | Reason::Overloaded) {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("2"));
    }
    debug_assert!(response.headers().contains_key(CONTENT_TYPE));
    response
}

fn rpc_code(reason: Reason) -> i32 {
    match reason {
        Reason::StoreUnavailable | Reason::Overloaded => 14,
        Reason::BodyTooLarge | Reason::TooManyStreams => 8,
        Reason::BodyTimeout => 4,
        Reason::NoRoute | Reason::UnknownExchange | Reason::UnknownTrace => 5,
        Reason::NotInPlan
        | Reason::TenantHeaderMissing
        | Reason::TenantHeaderEmpty
        | Reason::TenantHeaderRepeated
        | Reason::TenantHeaderIllFormed
        | Reason::TenantHeaderAlias => 7,
        Reason::BadQuery
        | Reason::MalformedBody
        | Reason::UnsupportedMediaType
        | Reason::MethodNotAllowed => 3,
    }
}
