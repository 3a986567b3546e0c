//! Test kit: an issuer with real keys, a token builder, rotation, a settable clock. No server.
//!
//! ```
//! # async fn example() {
//! use auth_core::{Accept, Algorithm, IssuerPolicy, Verifier, testing::{TestClock, TestIssuer}};
//!
//! let clock = TestClock::new();
//! let issuer = TestIssuer::new("https://id.test/oidc", Algorithm::Es384).clock(clock.clone());
//! let policy = IssuerPolicy::new("test", issuer.url()).accept(Accept::organization("https://api.test"));
//! let verifier = Verifier::builder()
//!     .issuer(policy, issuer.keys())
//!     .clock(clock.clone())
//!     .build()
//!     .expect("the policy is sound");
//!
//! let token = issuer.token("https://api.test").organization("org_a").scopes(["read"]).sign();
//! assert!(verifier.verify(&token).await.expect("valid").has_scope("read"));
//!
//! clock.advance(std::time::Duration::from_secs(3615));
//! assert_eq!(verifier.verify(&token).await.unwrap_err().reason().code(), "token_expired");
//! # }
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(example());
//! ```

mod clock;
mod issuer;
mod key;
mod token;

pub use clock::TestClock;
pub use issuer::{KeyFault, TestIssuer, TestKeys};
pub use key::TestKey;
pub use token::TokenBuilder;
