use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(target: &str, expected: Result<&str, PathError>) {
    check_bytes(target.as_bytes(), expected);
}

#[track_caller]
fn check_bytes(target: &[u8], expected: Result<&str, PathError>) {
    let got = CanonicalPath::parse(target);
    assert_eq!(got.as_ref().map(CanonicalPath::as_str).map_err(|e| *e), expected);
}

#[test]
fn plain_paths_stand_for_themselves() {
    check("/", Ok("/"));
    check("/admin", Ok("/admin"));
    check("/admin/", Ok("/admin/"));
    check("/ADMIN", Ok("/ADMIN"));
    check("/a.b/c..d/.hidden", Ok("/a.b/c..d/.hidden"));
    check("/api/v1/exchanges/0af7651916cd43dd8448eb211c80319c", {
        Ok("/api/v1/exchanges/0af7651916cd43dd8448eb211c80319c")
    });
    check("/a,b:c@d!$&'()*+=~_-", Ok("/a,b:c@d!$&'()*+=~_-"));
}

#[test]
fn escapes_of_plain_characters_are_the_characters() {
    check("/%61dmin", Ok("/admin"));
    check("/%41dmin", Ok("/Admin"));
    check("/%7Eu", Ok("/~u"));
    check("/a%3Ab", Ok("/a:b"));
    check("/a%20b", Ok("/a b"));
    check("/caf%C3%A9", Ok("/café"));
    check("/%E0%A4%B9%E0%A4%BF%E0%A4%A8%E0%A5%8D%E0%A4%A6%E0%A5%80", Ok("/हिन्दी"));
    check("/%E6%97%A5%E6%9C%AC", Ok("/日本"));
}

#[test]
fn the_query_takes_no_part() {
    check("/public?x=/../admin", Ok("/public"));
    check("/admin?/public", Ok("/admin"));
    check("/a?b?c", Ok("/a"));
    check("/a?", Ok("/a"));
    check("/a?x=%2F%2e%2e//", Ok("/a"));
    check("/a?x=%zz", Ok("/a"));
    check_bytes(b"/a?x=\xff\xfe|\"<>", Ok("/a"));
}

#[test]
fn dot_segments_are_refused_in_every_spelling() {
    check("/public/../admin", Err(PathError::DotSegment));
    check("/public/%2e%2e/admin", Err(PathError::DotSegment));
    check("/public/%2E./admin", Err(PathError::DotSegment));
    check("/./admin", Err(PathError::DotSegment));
    check("/admin/.", Err(PathError::DotSegment));
    check("/..", Err(PathError::DotSegment));
    check("/public/..%2fadmin", Err(PathError::EscapedSeparator('/')));
    check("/public/%252e%252e/admin", Err(PathError::EscapedSeparator('%')));
    check("/public;/../admin", Err(PathError::Semicolon));
    check("/public/..;/admin", Err(PathError::Semicolon));
}

#[test]
fn empty_segments_are_refused() {
    check("//admin", Err(PathError::EmptySegment));
    check("///admin", Err(PathError::EmptySegment));
    check("/admin//", Err(PathError::EmptySegment));
    check("//evil.com/x", Err(PathError::EmptySegment));
}

#[test]
fn separators_in_disguise_are_refused() {
    check("/admin;x=1", Err(PathError::Semicolon));
    check("/admin%3Bx=1", Err(PathError::EscapedSeparator(';')));
    check("/admin%00", Err(PathError::ControlCharacter));
    check("/admin%0d%0aX: y", Err(PathError::ControlCharacter));
    check("/admin\\..\\x", Err(PathError::Backslash));
    check("/admin%5c", Err(PathError::EscapedSeparator('\\')));
    check("/a%2Fb", Err(PathError::EscapedSeparator('/')));
    check("/a%3Fb", Err(PathError::EscapedSeparator('?')));
    check("/public%23/../admin", Err(PathError::EscapedSeparator('#')));
    check("/admin#/public", Err(PathError::Fragment));
    check("/public?x#/admin", Err(PathError::Fragment));
    check("/admin.", Err(PathError::PaddedSegment));
    check("/admin%20", Err(PathError::PaddedSegment));
    check("/%20admin", Err(PathError::PaddedSegment));
    check("/admin%2E", Err(PathError::PaddedSegment));
}

#[test]
fn other_forms_of_the_target_are_refused() {
    check("http://evil/admin", Err(PathError::AbsoluteForm));
    check("*", Err(PathError::Asterisk));
    check("admin", Err(PathError::NotRooted));
    check("evil.com:443", Err(PathError::NotRooted));
    check("", Err(PathError::Empty));
    check("?x", Err(PathError::Empty));
    check("/public, /admin", Err(PathError::Space));
    check("/public,/admin", Err(PathError::JoinedValues));
    check("/a b", Err(PathError::Space));
    check("/a\tb", Err(PathError::ControlCharacter));
    check(&format!("/{}", "a".repeat(16 * 1024)), Err(PathError::TooLong));
    check(&format!("/a?{}", "q".repeat(64 * 1024)), Ok("/a"));
}

#[test]
fn encodings_that_are_not_utf8_are_refused() {
    check("/%ff", Err(PathError::NotUtf8));
    check("/%c0%af", Err(PathError::NotUtf8));
    check("/%e0%80%af", Err(PathError::NotUtf8));
    check("/%ed%a0%80", Err(PathError::NotUtf8));
    check("/a%zz", Err(PathError::BrokenEscape));
    check("/a%4", Err(PathError::BrokenEscape));
    check("/a%", Err(PathError::BrokenEscape));
    check("/a%+1", Err(PathError::BrokenEscape));
    check_bytes(b"/caf\xc3\xa9", Err(PathError::RawNonAscii));
    check_bytes("／admin".as_bytes(), Err(PathError::NotRooted));
    check_bytes("/／admin".as_bytes(), Err(PathError::RawNonAscii));
}

#[test]
fn characters_that_fold_to_others_are_refused() {
    for replaced in [
        "/%EF%BC%8Fadmin",              // full-width /
        "/%EF%BD%81dmin",               // full-width a
        "/%EF%BC%8E%EF%BC%8E/admin",    // full-width dots
        "/%C2%AAdmin",                  // feminine ordinal
        "/admin%C2%B2",                 // superscript 2
        "/%E1%B4%ACdmin",               // modifier letter A
        "/%C5%BFettings",               // long s
        "/%E2%84%AAey",                 // Kelvin sign
        "/cafe%CC%81",                  // e and an accent of its own
        "/%E1%84%92%E1%85%A1%E1%86%AB", // Hangul in pieces
        "/%EF%AC%81le",                 // ligature
    ] {
        check(replaced, Err(PathError::NotNormalized));
    }
    check("/a%E2%88%95b", Err(PathError::Symbol('∕')));
    check("/a%E2%80%8Bb", Err(PathError::Symbol('\u{200B}')));
    check("/a%E2%80%AEb", Err(PathError::Symbol('\u{202E}')));
    check("/admin%C2%85", Err(PathError::Symbol('\u{85}')));
    check("/admin%EF%B8%8F", Err(PathError::Symbol('\u{FE0F}')));
    check("/admin%E1%85%A0", Err(PathError::Symbol('\u{1160}')));
}

proptest! {
    /// What comes out has one spelling: reading it again, escaped or not, changes nothing.
    #[test]
    fn canonical_is_a_fixed_point(target in prop::collection::vec(any::<u8>(), 0..64)) {
        let mut target = target;
        target.insert(0, b'/');
        if let Ok(path) = CanonicalPath::parse(&target) {
            let escaped: String =
                path.as_str().bytes().fold(String::new(), |mut text, byte| {
                    use std::fmt::Write as _;
                    if byte == b'/' { text.push('/') } else {
                        write!(text, "%{byte:02x}").expect("writing to a string works");
                    }
                    text
                });
            let again = CanonicalPath::parse(escaped.as_bytes());
            prop_assert_eq!(again.expect("canonical paths can be escaped"), path.clone());
            prop_assert!(!path.as_str().contains("//"));
            prop_assert!(path.as_str().split('/').all(|s| s != "." && s != ".."));
        }
    }
}
