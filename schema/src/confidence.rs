//! What we stand behind, in thousandths, always rounded down.

/// Rounds a probability down to three decimals and into 0..=1, so that a reply is never promised more than it has.
///
/// Not a number counts as 0.
#[must_use]
pub fn floor3(value: f64) -> f64 {
    if value.is_nan() {
        return 0.0;
    }
    // The small addition keeps 0.29 * 1000 = 289.99999999999994 from becoming 0.289.
    ((value.clamp(0.0, 1.0) * 1000.0 + 1e-9).floor() / 1000.0).clamp(0.0, 1.0)
}

/// The highest confidence that is still not `auto` at this threshold.
#[must_use]
pub fn below(threshold: f64) -> f64 {
    floor3(threshold - 0.001).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_down_and_clamps() {
        for (value, expected) in
            [(0.29, 0.29), (0.7999, 0.799), (0.0004, 0.0), (-1.0, 0.0), (2.0, 1.0), (f64::NAN, 0.0), (0.8, 0.8)]
        {
            assert_eq!(floor3(value), expected, "{value}");
        }
    }

    #[test]
    fn below_is_never_auto() {
        for i in 1..=1000 {
            let threshold = f64::from(i) / 1000.0;
            assert!(below(threshold) < threshold, "{threshold}");
        }
        assert!(below(0.8004) < 0.8004);
    }
}
