//! A license: which plan, from when to when, and what became of it.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use crate::catalog::Catalog;

/// What a tenant has bought, tries or was given.
///
/// The period is half-open: the license holds at `starts_at` and no longer at `ends_at`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct License {
    /// The license's own name, as in `lic_0198...`.
    pub id: String,
    /// Whether it is the plan itself, a trial of one, or an addition.
    pub kind: LicenseKind,
    /// The tier's name, or the add-on's; aliases of the catalog are followed.
    pub plan: String,
    /// The catalog it was sold under, if it keeps to that one; otherwise the current one counts.
    pub pin: Option<Pin>,
    /// How often an add-on was bought; it multiplies numbers.
    pub quantity: u32,
    /// The first moment it holds.
    pub starts_at: SystemTime,
    /// The first moment it no longer holds; none: it has no end.
    pub ends_at: Option<SystemTime>,
    /// How long it goes on after its end, marked as grace. Trials have none, whatever stands here.
    pub grace: Duration,
    /// When it was suspended, if it is.
    pub suspended_at: Option<SystemTime>,
    /// When it was revoked, if it was; nothing brings it back.
    pub revoked_at: Option<SystemTime>,
    /// Why it was suspended or revoked.
    pub status_reason: Option<String>,
    /// Who granted it: a person, billing, a file.
    pub source: LicenseSource,
    /// The name it has at its source; a source cannot import one twice.
    pub source_ref: Option<String>,
    /// When it was granted.
    pub created_at: SystemTime,
    /// Who granted it.
    pub created_by: String,
}

impl License {
    /// A license that somebody granted by hand, from a moment on without end.
    pub(crate) fn endless(id: &str, kind: LicenseKind, plan: &str, from: SystemTime) -> Self {
        Self {
            id: id.to_owned(),
            kind,
            plan: plan.to_owned(),
            pin: None,
            quantity: 1,
            starts_at: from,
            ends_at: None,
            grace: Duration::ZERO,
            suspended_at: None,
            revoked_at: None,
            status_reason: None,
            source: LicenseSource::Manual,
            source_ref: None,
            created_at: from,
            created_by: String::new(),
        }
    }

    /// How the license stands at a moment: its own history and period, whatever the tenant's state.
    ///
    /// A revocation or suspension counts from its own moment on, so that a question about an
    /// earlier moment is answered as it would have been answered then. A suspension ends with the
    /// period and its grace: whoever resumed it afterwards would gain nothing.
    pub fn standing(&self, at: SystemTime) -> Standing {
        if self.revoked_at.is_some_and(|moment| moment <= at) {
            return Standing::Revoked;
        }
        if self.grace_ends_at().is_some_and(|end| end <= at) {
            return Standing::Expired;
        }
        if self.suspended_at.is_some_and(|moment| moment <= at) {
            return Standing::Suspended;
        }
        if at < self.starts_at {
            return Standing::Scheduled;
        }
        match self.ends_at {
            None => Standing::Active,
            Some(end) if at < end => Standing::Active,
            Some(_) => Standing::Grace,
        }
    }

    /// The first moment after the grace; none if there is no end, or the clock cannot express it.
    pub fn grace_ends_at(&self) -> Option<SystemTime> {
        self.ends_at.and_then(|end| end.checked_add(self.effective_grace()))
    }

    /// The grace that counts: trials have none.
    pub fn effective_grace(&self) -> Duration {
        match self.kind {
            LicenseKind::Trial => Duration::ZERO,
            LicenseKind::Base | LicenseKind::Addon => self.grace,
        }
    }
}

/// The catalog that a license was sold under.
#[derive(Clone, Debug)]
pub struct Pin {
    /// The catalog's digest.
    pub digest: String,
    /// The catalog itself; none if the store no longer has it, and then the plan is unknown.
    pub catalog: Option<Catalog>,
}

impl Eq for Pin {}

impl PartialEq for Pin {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest && self.catalog.is_some() == other.catalog.is_some()
    }
}

/// How a license stands at a moment.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Standing {
    /// Within its period.
    Active,
    /// After its end, within its grace.
    Grace,
    /// After its end and its grace.
    Expired,
    /// Before its start.
    Scheduled,
    /// Suspended, and not over; it can be resumed.
    Suspended,
    /// Revoked for good.
    Revoked,
}

impl Standing {
    /// True if the license counts: active or in grace.
    pub fn is_usable(self) -> bool {
        matches!(self, Self::Active | Self::Grace)
    }

    /// The word for tables and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Grace => "grace",
            Self::Expired => "expired",
            Self::Scheduled => "scheduled",
            Self::Suspended => "suspended",
            Self::Revoked => "revoked",
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that stands for none of the known kinds.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{}` is not a {what}: use one of {known}", text.escape_debug())]
pub struct UnknownWord {
    what: &'static str,
    known: &'static str,
    text: String,
}

impl UnknownWord {
    pub(crate) fn new(what: &'static str, known: &'static str, text: &str) -> Self {
        Self { what, known, text: text.chars().take(40).collect() }
    }
}

/// Declares an enum of words as they stand in the store.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $what:literal, $known:literal, {
        $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)?
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub enum $name {
            $($(#[$vdoc])* $variant),+
        }

        impl $name {
            /// The word in the store, in tables and in JSON.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(UnknownWord::new($what, $known, text)),
                }
            }
        }
    };
}

pub(crate) use words;

words!(
    /// What a license is to its tenant.
    LicenseKind, "license kind", "`base`, `trial` and `addon`", {
        /// A tier, paid for.
        Base = "base",
        /// A tier for a while, without grace.
        Trial = "trial",
        /// An add-on beside a tier; alone it opens nothing.
        Addon = "addon",
    }
);

words!(
    /// Where a license comes from.
    LicenseSource, "license source", "`manual`, `billing`, `file` and `import`", {
        /// Granted by a person.
        Manual = "manual",
        /// Granted by a billing system.
        Billing = "billing",
        /// Read from a signed license file.
        File = "file",
        /// Brought along from elsewhere.
        Import = "import",
    }
);
