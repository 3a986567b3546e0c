//! One route's requirement, inside of the gate.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use entitlements::{CheckError, EntitlementSet};
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::{
    Access, Decision, Denial, Named, ProblemJson, Refuse, Requirement, Tenant, decide, named,
    unknown_single,
};
use crate::{identity::Identity, reason};

/// Asks more of one route than the [`super::GateLayer`] around it.
///
/// It reads what the gate put into the request's extensions, so it does no I/O and never waits.
/// Outside of a gate every request is refused with [`reason::GATE_MISSING`].
#[derive(Clone, Debug)]
pub struct RequireLayer<R = ProblemJson> {
    requirement: Requirement,
    refuse: R,
}

impl RequireLayer {
    /// A layer that refuses with a challenge and a problem document. An unknown feature has already
    /// been refused when the requirement was made.
    pub fn new(requirement: Requirement) -> Self {
        Self { requirement, refuse: ProblemJson }
    }
}

impl<R> RequireLayer<R> {
    /// Refuses in another way. Any `Fn(Denial) -> Response<B>` does.
    #[must_use]
    pub fn refuse_with<N>(self, refuse: N) -> RequireLayer<N> {
        RequireLayer { requirement: self.requirement, refuse }
    }
}

impl<S, R: Clone> Layer<S> for RequireLayer<R> {
    type Service = RequireService<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        RequireService { inner, layer: self.clone() }
    }
}

/// A service that asks for more. See [`RequireLayer`].
#[derive(Clone, Debug)]
pub struct RequireService<S, R = ProblemJson> {
    inner: S,
    layer: RequireLayer<R>,
}

impl<S, R, B, C> Service<Request<B>> for RequireService<S, R>
where
    S: Service<Request<B>, Response = Response<C>>,
    R: Refuse<C>,
{
    type Response = Response<C>;
    type Error = S::Error;
    type Future = RequireFuture<S::Future, C>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match judge(&self.layer.requirement, &request) {
            Ok(()) => RequireFuture { state: State::Calling { future: self.inner.call(request) } },
            Err(denial) => {
                let response = Some(self.layer.refuse.refuse(*denial));
                RequireFuture { state: State::Refused { response } }
            }
        }
    }
}

fn judge<B>(need: &Requirement, request: &Request<B>) -> Result<(), Box<Denial>> {
    if need.access() == Access::Public {
        return Ok(());
    }
    let Some(identity) = request.extensions().get::<Identity>() else {
        let detail = "the route asks for something, and no gate has looked at the caller";
        return Err(Box::new(Denial::new(reason::GATE_MISSING, detail)));
    };
    let tenant = match (request.extensions().get::<EntitlementSet>(), named(identity)) {
        (Some(set), _) => Tenant::Known(set.clone()),
        (None, Named::Nobody) => Tenant::Unnamed,
        // The gate around this one let somebody pass whose tenant it did not find.
        (None, Named::Organization(it)) => {
            Tenant::Failed(CheckError::UnknownTenant(it.to_string()))
        }
        (None, Named::Single(_)) => Tenant::Failed(unknown_single()),
    };
    match decide(need, identity, tenant) {
        Decision::Allow(_) => Ok(()),
        Decision::Deny(denial) => Err(denial),
    }
}

pin_project! {
    /// The answer of the service, or a refusal.
    pub struct RequireFuture<F, C> {
        #[pin]
        state: State<F, C>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F, C> {
        Calling {
            #[pin]
            future: F,
        },
        Refused {
            response: Option<Response<C>>,
        },
    }
}

impl<F, C, E> Future for RequireFuture<F, C>
where
    F: Future<Output = Result<Response<C>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        match self.project().state.project() {
            StateProj::Calling { future } => future.poll(cx),
            StateProj::Refused { response } => {
                Poll::Ready(Ok(response.take().expect("polled after it was ready")))
            }
        }
    }
}
