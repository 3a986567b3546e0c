//! The gate around a tower service.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::{Access, Decision, Denial, Gate, ProblemJson, Refuse, Requirement};
use crate::bearer;

/// Puts the gate around a service: a request passes with [`crate::Identity`] and
/// [`entitlements::EntitlementSet`] in its extensions, or is refused before the service sees it.
///
/// Without [`Self::requirement`] every request needs a tenant in good standing; single routes ask
/// for more with [`super::RequireLayer`].
#[derive(Clone, Debug)]
pub struct GateLayer<R = ProblemJson> {
    gate: Gate,
    requirement: Requirement,
    refuse: R,
}

impl GateLayer {
    /// A layer that refuses with a challenge and a problem document.
    pub fn new(gate: Gate) -> Self {
        Self { gate, requirement: Requirement::tenant(), refuse: ProblemJson }
    }
}

impl<R> GateLayer<R> {
    /// Asks this of every request.
    #[must_use]
    pub fn requirement(mut self, requirement: Requirement) -> Self {
        self.requirement = requirement;
        self
    }

    /// Refuses in another way, for gRPC or HTML. Any `Fn(Denial) -> Response<B>` does.
    #[must_use]
    pub fn refuse_with<N>(self, refuse: N) -> GateLayer<N> {
        GateLayer { gate: self.gate, requirement: self.requirement, refuse }
    }
}

impl<S, R: Clone> Layer<S> for GateLayer<R> {
    type Service = GateService<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        GateService { inner, layer: self.clone() }
    }
}

/// A service behind the gate. See [`GateLayer`].
#[derive(Clone, Debug)]
pub struct GateService<S, R = ProblemJson> {
    inner: S,
    layer: GateLayer<R>,
}

impl<S, R, B, C> Service<Request<B>> for GateService<S, R>
where
    S: Service<Request<B>, Response = Response<C>> + Clone,
    R: Refuse<C> + Clone,
{
    type Response = Response<C>;
    type Error = S::Error;
    type Future = ResponseFuture<S, R, B, C>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The clone takes the old one's place; the one that was polled ready answers.
        let clone = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, clone);
        let layer = &self.layer;
        let token = match bearer::credential(request.headers()) {
            Ok(token) => token,
            // A public route does not look at credentials, bad ones included.
            Err(_) if layer.requirement.access() == Access::Public => None,
            Err(reason) => {
                return ResponseFuture::refused(layer, Denial::new(reason, reason.title()));
            }
        };
        if let Some(decision) = layer.gate.check_now(token, &layer.requirement) {
            return ResponseFuture::decided(layer, inner, request, decision);
        }
        let (gate, need) = (layer.gate.clone(), layer.requirement.clone());
        let token = token.map(str::to_owned);
        let check = Box::pin(async move { gate.check(token.as_deref(), &need).await });
        let (call, refuse) = (Some((inner, request)), layer.refuse.clone());
        ResponseFuture { state: State::Checking { check, call, refuse } }
    }
}

pin_project! {
    /// The answer of the service, or a refusal.
    pub struct ResponseFuture<S, R, B, C>
    where
        S: Service<Request<B>, Response = Response<C>>,
    {
        #[pin]
        state: State<S, R, B, C>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, R, B, C>
    where
        S: Service<Request<B>, Response = Response<C>>,
    {
        Checking {
            check: Pin<Box<dyn Future<Output = Decision> + Send>>,
            call: Option<(S, Request<B>)>,
            refuse: R,
        },
        Calling {
            #[pin]
            future: S::Future,
        },
        Refused {
            response: Option<Response<C>>,
        },
    }
}

impl<S, R, B, C> ResponseFuture<S, R, B, C>
where
    S: Service<Request<B>, Response = Response<C>>,
    R: Refuse<C>,
{
    fn refused(layer: &GateLayer<R>, denial: Denial) -> Self {
        Self { state: State::Refused { response: Some(layer.refuse.refuse(denial)) } }
    }

    fn decided(
        layer: &GateLayer<R>,
        mut inner: S,
        request: Request<B>,
        decision: Decision,
    ) -> Self {
        match admit(request, decision) {
            Ok(request) => Self { state: State::Calling { future: inner.call(request) } },
            Err(denial) => Self::refused(layer, *denial),
        }
    }
}

/// Puts what was found into the request's extensions, where handlers look for it.
fn admit<B>(mut request: Request<B>, decision: Decision) -> Result<Request<B>, Box<Denial>> {
    match decision {
        Decision::Deny(denial) => Err(denial),
        Decision::Allow(allowed) => {
            let extensions = request.extensions_mut();
            allowed.identity.map(|identity| extensions.insert(identity));
            allowed.entitlements.map(|set| extensions.insert(set));
            Ok(request)
        }
    }
}

impl<S, R, B, C> Future for ResponseFuture<S, R, B, C>
where
    S: Service<Request<B>, Response = Response<C>>,
    R: Refuse<C>,
{
    type Output = Result<Response<C>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                StateProj::Calling { future } => return future.poll(cx),
                StateProj::Refused { response } => {
                    return Poll::Ready(Ok(response.take().expect("polled after it was ready")));
                }
                StateProj::Checking { check, call, refuse } => {
                    let decision = ready!(check.as_mut().poll(cx));
                    let (mut inner, request) = call.take().expect("polled after it was ready");
                    match admit(request, decision) {
                        Ok(request) => State::Calling { future: inner.call(request) },
                        Err(denial) => State::Refused { response: Some(refuse.refuse(*denial)) },
                    }
                }
            };
            this.state.set(next);
        }
    }
}
