//! The table for the documentation, generated from the file so that the two cannot differ.

use std::fmt;

use super::{Catalog, FeatureKind};

impl Catalog {
    /// The matrix as a Markdown table: features as rows, tiers as columns.
    pub fn render(&self) -> String {
        Table(self).to_string()
    }
}

struct Table<'a>(&'a Catalog);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("| feature |")?;
        for tier in self.0.tiers() {
            write!(f, " {} |", tier.name())?;
        }
        f.write_str("\n|---|")?;
        for _ in self.0.tiers() {
            f.write_str("---|")?;
        }
        f.write_str("\n")?;
        for (row, feature) in self.0.features().iter().enumerate() {
            match feature.kind() {
                FeatureKind::Number(Some(unit)) => write!(f, "| {} ({unit}) |", feature.key())?,
                _ => write!(f, "| {} |", feature.key())?,
            }
            for tier in self.0.tiers() {
                write!(f, " {} |", tier.values()[row])?;
            }
            f.write_str("\n")?;
        }
        Ok(())
    }
}
