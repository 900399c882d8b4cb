//! What is wrong with a file, where, and how to mend it.

/// One thing wrong with a file. The file keeps its text whatever is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// What is wrong, lower case, without a full stop.
    pub message: String,
    /// How to mend it.
    pub hint: String,
}

impl Problem {
    /// A problem at this place.
    pub fn new(line: usize, column: usize, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { line, column, message: message.into(), hint: hint.into() }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {} ({})", self.line, self.column, self.message, self.hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_one_line() {
        assert_eq!(
            Problem::new(2, 1, "no colon", "write `key: value`").to_string(),
            "2:1: no colon (write `key: value`)"
        );
    }
}
