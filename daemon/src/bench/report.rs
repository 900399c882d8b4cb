//! What a bench found: rows with their raw numbers, and the table that a person reads.

use serde::Serialize;
use serde_json::Value;

/// What one run measured.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Where it ran.
    pub machine: Value,
    /// How many events each bench was given.
    pub events: usize,
    /// How long all of it took.
    pub seconds: f64,
    /// What was found.
    pub rows: Vec<Row>,
}

/// One figure beside its limit.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The bench, and which of its figures.
    pub name: String,
    /// In which unit the two numbers are.
    pub unit: &'static str,
    /// What the daemon does.
    pub ours: f64,
    /// What the machine allows.
    pub limit: f64,
    /// Ours divided by the limit.
    pub ratio: f64,
    /// What the ratio should be.
    pub target: Target,
    /// What the limit is.
    pub beside: &'static str,
    /// Every number that was measured.
    pub raw: Value,
}

impl Row {
    /// A figure and its limit, both in the same unit.
    pub(super) fn compare(name: impl Into<String>, unit: &'static str, (ours, limit): (f64, f64)) -> Self {
        let (name, ratio) = (name.into(), ours / limit);
        Self { name, unit, ours, limit, ratio, target: Target::None, beside: "", raw: Value::Null }
    }

    /// The same, and what the limit is.
    pub(super) fn beside(self, beside: &'static str) -> Self {
        Self { beside, ..self }
    }

    /// The same, and what the ratio should be.
    pub(super) fn target(self, target: Target) -> Self {
        Self { target, ..self }
    }

    /// The same, and what was measured.
    pub(super) fn raw(self, raw: Value) -> Self {
        Self { raw, ..self }
    }

    /// Whether it is as it should be; nothing where nobody said how.
    #[must_use]
    pub fn met(&self) -> Option<bool> {
        self.target.met(self.ours, self.ratio)
    }
}

/// What a ratio should be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Less is better.
    AtMost(f64),
    /// More is better.
    AtLeast(f64),
    /// Ours itself is at most so much, in the unit of the row, whatever the limit.
    Within(f64),
    /// Told, not judged.
    None,
}

impl Target {
    /// Whether a figure and its ratio are as they should be; nothing where nobody said how.
    #[must_use]
    pub fn met(self, ours: f64, ratio: f64) -> Option<bool> {
        match self {
            Self::Within(most) => Some(ours <= most),
            Self::AtMost(most) => Some(ratio <= most),
            Self::AtLeast(least) => Some(ratio >= least),
            Self::None => None,
        }
    }

    fn told(self) -> String {
        match self {
            Self::AtMost(most) => format!("<= {most}"),
            Self::AtLeast(least) => format!(">= {least}"),
            Self::Within(most) => format!("< {most}"),
            Self::None => "-".to_owned(),
        }
    }
}

impl Report {
    /// The rows as a table, one line each, under a head.
    #[must_use]
    pub fn table(&self) -> Vec<String> {
        let line = |cells: [&str; 7]| {
            let [name, ours, limit, unit, ratio, target, beside] = cells;
            format!("{name:<27} {ours:>12} {limit:>12} {unit:<16} {ratio:>7} {target:>8}  {beside}")
                .trim_end()
                .to_owned()
        };
        let head = line(["bench", "ours", "limit", "unit", "ratio", "target", "the limit is"]);
        let rows = self.rows.iter().map(|row| {
            let mark = if row.met() == Some(false) { "!" } else { "" };
            let ratio = format!("{mark}{:.2}", row.ratio);
            let (ours, limit, target) = (figure(row.ours), figure(row.limit), row.target.told());
            line([&row.name, &ours, &limit, row.unit, &ratio, &target, row.beside])
        });
        std::iter::once(head).chain(rows).collect()
    }
}

/// A number with as many digits as anybody reads.
pub(super) fn figure(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_target_is_marked() {
        let row = |ratio: f64, target| Row::compare("a", "ms", (2.0 * ratio, 2.0)).beside("b").target(target);
        let rows = vec![
            row(3.0, Target::AtMost(2.0)),
            row(0.6, Target::AtLeast(0.5)),
            row(9.0, Target::None),
            row(9.0, Target::Within(18.0)),
            row(9.0, Target::Within(17.9)),
        ];
        let report = Report { machine: Value::Null, events: 1, seconds: 1.0, rows };
        let table = report.table();
        let marked: Vec<bool> = table.iter().map(|line| line.contains('!')).collect();
        assert_eq!(marked, [false, true, false, false, false, true], "{table:?}");
    }

    #[test]
    fn figures_are_short() {
        for (value, expected) in [(61_234.56, "61235"), (12.345, "12.35"), (0.000_21, "0.0002")] {
            assert_eq!(figure(value), expected);
        }
    }
}
