//! The documents: every relative link must lead somewhere.

use std::fs;
use std::path::{Path, PathBuf};

use crate::output::say;
use crate::{Failure, place};

/// Checks the links of every Markdown file in the repository.
///
/// # Errors
///
/// If a file cannot be read or a link leads nowhere; each is named.
pub(crate) fn check() -> Result<(), Failure> {
    let mut files = Vec::new();
    collect(place::repository(), &mut files)?;
    let mut dead = Vec::new();
    let mut links = 0_usize;
    for file in &files {
        let text = fs::read_to_string(file)
            .map_err(|e| format!("cannot read `{}`: {e}", file.display()))?;
        let folder = file.parent().expect("a file lies in a folder");
        for (number, target) in relative_links(&text) {
            links += 1;
            if !folder.join(target).exists() {
                dead.push(format!("{}:{number}: `{target}`", file.display()));
            }
        }
    }
    if dead.is_empty() {
        say(&format!("{} documents, {links} relative links, all lead somewhere", files.len()));
        Ok(())
    } else {
        Err(format!("links that lead nowhere:\n  {}", dead.join("\n  ")))
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let unreadable = |e| format!("cannot read the folder `{}`: {e}", folder.display());
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            if !matches!(name.as_ref(), "target" | ".git" | "node_modules") {
                collect(&path, files)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "md") {
            files.push(path);
        }
    }
    Ok(())
}

/// The targets of `[text](target)` that are neither elsewhere nor in this page, with their lines.
fn relative_links(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut in_code = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        let mut rest = line;
        while let Some(start) = rest.find("](") {
            rest = &rest[start + 2..];
            let Some(end) = rest.find(')') else { break };
            let target = rest[..end].split('#').next().unwrap_or_default();
            if !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:") {
                found.push((index + 1, target));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::relative_links;

    #[test]
    fn relative_links_are_found_with_their_lines() {
        let text = "see [a](a.md) and [b](b/c.md#part)\n```\n[code](no.md)\n```\n\
                    [web](https://example.com) [here](#there) [d](d)";
        assert_eq!(relative_links(text), [(1, "a.md"), (1, "b/c.md"), (5, "d")]);
    }
}
