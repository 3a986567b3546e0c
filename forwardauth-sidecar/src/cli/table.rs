//! How texts and rows of a store are shown to people.

use std::borrow::Cow;
use std::io::Write;

/// A text of the store as a terminal may show it: what would move the cursor, change colours,
/// begin a line that looks like one of ours, or reorder the line is written as an escape.
pub(super) fn visible(text: &str) -> Cow<'_, str> {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    if !text.contains(hidden) {
        return Cow::Borrowed(text);
    }
    let write = |shown: String, c: char| {
        if hidden(c) {
            shown + &c.escape_default().to_string()
        } else {
            shown + c.encode_utf8(&mut [0; 4])
        }
    };
    Cow::Owned(text.chars().fold(String::new(), write))
}

/// Columns with a header, as wide as what stands in them.
pub(super) fn table(out: &mut dyn Write, rows: &[Vec<String>]) -> std::io::Result<()> {
    let rows: Vec<Vec<_>> =
        rows.iter().map(|row| row.iter().map(|cell| visible(cell)).collect()).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..columns).map(width).collect();
    for row in &rows {
        let cells = row.iter().zip(&widths);
        let line: Vec<_> = cells.map(|(cell, width)| format!("{cell:<width$}")).collect();
        writeln!(out, "{}", line.join("  ").trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_escaped() {
        assert_eq!(visible("Zoë & Søn, «日本»"), "Zoë & Søn, «日本»");
        assert_eq!(visible("\u{1b}[2J\n\u{9b}x\u{202e}"), "\\u{1b}[2J\\n\\u{9b}x\\u{202e}");
        let mut text = Vec::new();
        table(&mut text, &[vec!["a\nroot  active".to_owned()]])
            .expect("writing to memory cannot fail");
        assert_eq!(String::from_utf8_lossy(&text), "a\\nroot  active\n");
    }

    #[test]
    fn columns_are_aligned() {
        let mut text = Vec::new();
        let rows = [vec!["a".to_owned(), "b".to_owned()], vec!["long".to_owned(), "c".to_owned()]];
        table(&mut text, &rows).expect("writing to memory cannot fail");
        assert_eq!(String::from_utf8_lossy(&text), "a     b\nlong  c\n");
    }
}
