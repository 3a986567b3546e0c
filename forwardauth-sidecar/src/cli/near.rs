//! Names that somebody may have meant.

/// Up to three names that look like `wanted`, in backticks.
pub(super) fn near<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let start = |text: &str| text.chars().take(3).collect::<String>().to_lowercase();
    let alike = |name: &str| {
        start(name) == start(wanted)
            || (wanted.len() > 2 && (name.contains(wanted) || one_slip(name, wanted)))
    };
    names.filter(|name| alike(name)).take(3).map(|name| format!("`{name}`")).collect()
}

/// True if one letter is wrong, missing, too many, or two neighbours are swapped.
fn one_slip(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let same = one.iter().zip(other).take_while(|(x, y)| x == y).count();
    let (one, other) = (&one[same..], &other[same..]);
    let same = one.iter().rev().zip(other.iter().rev()).take_while(|(x, y)| x == y).count();
    let (one, other) = (&one[..one.len() - same], &other[..other.len() - same]);
    let swapped = one.len() == 2 && other.iter().rev().eq(one);
    swapped || (one.len() <= 1 && other.len() <= 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found() {
        let names = ["acme", "acme-eu", "globex"];
        assert_eq!(near("umbrella", names.into_iter()), Vec::<String>::new());
        for slip in ["acne", "cme", "accme", "amce", "ACME"] {
            assert_eq!(near(slip, names.into_iter()).first().unwrap(), "`acme`", "{slip}");
        }
        assert_eq!(near("acm", names.into_iter()), ["`acme`", "`acme-eu`"]);
        assert_eq!(near("globax", names.into_iter()), ["`globex`"]);
    }
}
