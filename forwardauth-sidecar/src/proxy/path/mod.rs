//! The one canonicaliser of paths.
//!
//! A gateway is bypassed when it decides on another path than the one the upstream routes on.
//! [`CanonicalPath::parse`] therefore refuses every spelling that two programs could read
//! differently, and turns what remains into its only form: decoded, absolute, without query.
//!
//! The rules, in the order in which they are tested:
//!
//! 1. A `#` anywhere is refused: no client sends a fragment.
//! 2. Only what stands before the first `?` is looked at; a query never takes part in a decision.
//! 3. The path is at most [`MAX_PATH_BYTES`] long and starts with one `/`. `*` and the absolute
//!    form (`http://...`) are refused.
//! 4. Control characters, spaces and bytes beyond ASCII are refused when they are not escaped.
//! 5. An escape must be `%` and two hexadecimal digits. Escapes of `/ \ % ? # ;` and of control
//!    characters are refused; every other one stands for its character, so `/%61dmin` is `/admin`.
//! 6. `\` and `;` are refused: some servers read the first as `/`, some cut the path at the second.
//! 7. Empty segments, `.` and `..`, and segments that begin with a space or end in a dot or a space
//!    are refused. One `/` at the end is kept, and `/admin/` is another path than `/admin`.
//! 8. What was escaped must be UTF-8; beyond ASCII only letters, digits and their marks, in
//!    normalization form KC (Unicode Standard Annex 15): servers that normalize would make a `/` of a
//!    full-width `／`, an `a` of `ª`, and one `é` of the two ways to write it.
//! 9. `,/` is refused: that is how two header values look after a proxy has joined them.
//!
//! ```
//! use tiergate::proxy::path::{CanonicalPath, PathError};
//!
//! let path = CanonicalPath::parse(b"/%61dmin?next=/public").expect("one meaning only");
//! assert_eq!(path.as_str(), "/admin");
//! assert_eq!(CanonicalPath::parse(b"/public/%2e%2e/admin"), Err(PathError::DotSegment));
//! ```

use std::borrow::Cow;
use std::fmt;

use auth_core::Reason;
use thiserror::Error;
use unicode_normalization::char::is_combining_mark;
use unicode_normalization::is_nfkc;

use crate::reason;

/// Longest path that is looked at, in bytes and without the query.
pub const MAX_PATH_BYTES: usize = 8 * 1024;

/// A path in its only spelling: absolute, decoded, without query, fragment or dot segment.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct CanonicalPath<'a>(Cow<'a, str>);

impl<'a> CanonicalPath<'a> {
    /// Reads the path from what a proxy says the request target was.
    ///
    /// # Errors
    ///
    /// Refuses every target that could be read in two ways; see the [module](self).
    pub fn parse(target: &'a [u8]) -> Result<Self, PathError> {
        if target.contains(&b'#') {
            return Err(PathError::Fragment);
        }
        let end = target.iter().position(|byte| *byte == b'?').unwrap_or(target.len());
        let raw = &target[..end];
        check_form(raw)?;
        let decoded = if raw.contains(&b'%') {
            Cow::Owned(decode(raw)?)
        } else {
            check_plain(raw)?;
            // INVARIANT: `check_plain` let only ASCII through.
            Cow::Borrowed(std::str::from_utf8(raw).map_err(|_| PathError::NotUtf8)?)
        };
        check_segments(&decoded)?;
        Ok(Self(decoded))
    }

    /// The decoded path; it begins with `/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same path, independent of the header it was read from.
    pub fn into_owned(self) -> CanonicalPath<'static> {
        CanonicalPath(Cow::Owned(self.0.into_owned()))
    }
}

impl fmt::Display for CanonicalPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a request target was refused.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum PathError {
    /// The value is empty.
    #[error("the request target is empty")]
    Empty,
    /// `*`, which names the server and not a resource.
    #[error("the request target `*` names no resource")]
    Asterisk,
    /// `http://host/path` or `//host`-like targets that name a host themselves.
    #[error("the request target is in absolute form")]
    AbsoluteForm,
    /// The first byte is not `/`.
    #[error("the request target does not begin with `/`")]
    NotRooted,
    /// The path is longer than [`MAX_PATH_BYTES`].
    #[error("the path is longer than {MAX_PATH_BYTES} bytes")]
    TooLong,
    /// A `#`.
    #[error("the request target contains a `#`")]
    Fragment,
    /// A control character, escaped or not.
    #[error("the path contains a control character")]
    ControlCharacter,
    /// A space that is not escaped.
    #[error("the path contains a space")]
    Space,
    /// A byte beyond ASCII that is not escaped.
    #[error("the path contains a byte beyond ascii that is not escaped")]
    RawNonAscii,
    /// `%` without two hexadecimal digits.
    #[error("the path contains a broken percent escape")]
    BrokenEscape,
    /// Escapes that do not decode to UTF-8.
    #[error("the path does not decode to utf-8")]
    NotUtf8,
    /// `.` or `..` as a segment.
    #[error("the path contains a dot segment")]
    DotSegment,
    /// `//`.
    #[error("the path contains an empty segment")]
    EmptySegment,
    /// A segment that ends in a dot, or begins or ends with a space.
    #[error("a path segment ends in a dot, or begins or ends with a space")]
    PaddedSegment,
    /// `\`, which some servers read as `/`.
    #[error("the path contains a backslash")]
    Backslash,
    /// `;`, at which some servers cut the path.
    #[error("the path contains a semicolon")]
    Semicolon,
    /// An escape of a character that structures a path.
    #[error("the path contains an escaped `{0}`")]
    EscapedSeparator(char),
    /// A character beyond ASCII that is neither letter nor digit nor a mark of one.
    #[error("the path contains the character U+{:04X}, which is neither letter nor digit", *.0 as u32)]
    Symbol(char),
    /// Characters beyond ASCII that a server may replace by others.
    #[error("the path is not in unicode's normalization form kc")]
    NotNormalized,
    /// `,/`, as in two values joined to one.
    #[error("the path contains `,/`, as in two header values joined to one")]
    JoinedValues,
}

impl PathError {
    /// The reason under which this refusal is answered, counted and logged.
    pub fn reason(self) -> Reason {
        match self {
            Self::TooLong => reason::URI_TOO_LONG,
            Self::Empty
            | Self::Asterisk
            | Self::AbsoluteForm
            | Self::NotRooted
            | Self::ControlCharacter
            | Self::Space
            | Self::RawNonAscii
            | Self::BrokenEscape
            | Self::NotUtf8 => reason::MALFORMED_URI,
            Self::Fragment
            | Self::DotSegment
            | Self::EmptySegment
            | Self::PaddedSegment
            | Self::Backslash
            | Self::Semicolon
            | Self::EscapedSeparator(_)
            | Self::Symbol(_)
            | Self::NotNormalized
            | Self::JoinedValues => reason::AMBIGUOUS_PATH,
        }
    }
}

fn check_form(raw: &[u8]) -> Result<(), PathError> {
    match raw.first() {
        None => return Err(PathError::Empty),
        Some(b'/') => {}
        Some(b'*') if raw.len() == 1 => return Err(PathError::Asterisk),
        Some(_) if raw.windows(3).any(|three| three == b"://") => {
            return Err(PathError::AbsoluteForm);
        }
        Some(_) => return Err(PathError::NotRooted),
    }
    if raw.len() > MAX_PATH_BYTES { Err(PathError::TooLong) } else { Ok(()) }
}

/// What must hold for each byte that stands in the path unescaped.
fn check_byte(byte: u8) -> Result<(), PathError> {
    match byte {
        0..=0x1F | 0x7F => Err(PathError::ControlCharacter),
        b' ' => Err(PathError::Space),
        b'\\' => Err(PathError::Backslash),
        b';' => Err(PathError::Semicolon),
        0x80.. => Err(PathError::RawNonAscii),
        _ => Ok(()),
    }
}

fn check_plain(raw: &[u8]) -> Result<(), PathError> {
    raw.iter().try_for_each(|byte| check_byte(*byte))
}

fn decode(raw: &[u8]) -> Result<String, PathError> {
    let mut decoded = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((&byte, tail)) = rest.split_first() {
        if byte == b'%' {
            let (&[high, low], tail) =
                tail.split_first_chunk::<2>().ok_or(PathError::BrokenEscape)?;
            let byte = hex(high)? << 4 | hex(low)?;
            match byte {
                0..=0x1F | 0x7F => return Err(PathError::ControlCharacter),
                b'/' | b'\\' | b'%' | b'?' | b'#' | b';' => {
                    return Err(PathError::EscapedSeparator(char::from(byte)));
                }
                _ => decoded.push(byte),
            }
            rest = tail;
        } else {
            check_byte(byte)?;
            decoded.push(byte);
            rest = tail;
        }
    }
    let decoded = String::from_utf8(decoded).map_err(|_| PathError::NotUtf8)?;
    if !is_nfkc(&decoded) {
        return Err(PathError::NotNormalized);
    }
    match decoded.chars().find(|c| !c.is_ascii() && !is_letter_digit_or_mark(*c)) {
        Some(c) => Err(PathError::Symbol(c)),
        None => Ok(decoded),
    }
}

fn hex(digit: u8) -> Result<u8, PathError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(PathError::BrokenEscape),
    }
}

fn is_letter_digit_or_mark(c: char) -> bool {
    // These have the properties of letters and marks, and are shown and compared as nothing.
    let ignorable = matches!(c,
        '\u{34F}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}'
        | '\u{FE00}'..='\u{FE0F}' | '\u{E0100}'..='\u{E01EF}');
    !ignorable && (c.is_alphanumeric() || is_combining_mark(c))
}

fn check_segments(path: &str) -> Result<(), PathError> {
    if path.contains(",/") {
        return Err(PathError::JoinedValues);
    }
    let mut segments = path[1..].split('/').peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "" if segments.peek().is_some() => return Err(PathError::EmptySegment),
            "." | ".." => return Err(PathError::DotSegment),
            _ if segment.ends_with(['.', ' ']) || segment.starts_with(' ') => {
                return Err(PathError::PaddedSegment);
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
