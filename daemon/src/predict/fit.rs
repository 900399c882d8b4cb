//! Fits weights to rows: logistic regression and choice among several, both pulled to zero, by damped Newton steps.
//!
//! Deterministic: the same rows in the same order give the same weights to the last bit.

use super::calibrate::sigmoid;

/// Newton steps of one fit, at most.
const MAX_STEPS: usize = 25;
/// Halvings of one step, at most.
const MAX_HALVINGS: usize = 12;
/// A fit ends when it gains less than this share of its loss.
const SMALL_GAIN: f64 = 1e-8;

/// The numbers of a row that are not zero, and where they stand.
pub type Sparse = Vec<(u16, f32)>;

/// What was seen once, and whether it came true.
#[derive(Clone, Debug)]
pub struct Row {
    /// What was known.
    pub x: Sparse,
    /// Whether it came true.
    pub y: bool,
    /// What the row counts for.
    pub weight: f64,
}

/// The sum of weights over a row.
#[must_use]
pub fn dot(weights: &[f64], x: &[(u16, f32)]) -> f64 {
    x.iter().map(|(at, value)| weights[*at as usize] * f64::from(*value)).sum()
}

/// The row of a dense list of numbers.
#[must_use]
#[allow(clippy::cast_possible_truncation)]
pub fn sparse(numbers: &[f64]) -> Sparse {
    (0..).zip(numbers).filter(|(_, value)| **value != 0.0).map(|(at, value)| (at, *value as f32)).collect()
}

/// Loss, gradient and curvature at some weights.
struct Shape {
    loss: f64,
    gradient: Vec<f64>,
    curvature: Vec<f64>,
}

impl Shape {
    fn ridge(weights: &[f64], ridge: f64) -> Self {
        let n = weights.len();
        let mut curvature = vec![0.0; n * n];
        (0..n).for_each(|at| curvature[at * n + at] = ridge);
        let loss = 0.5 * ridge * weights.iter().map(|w| w * w).sum::<f64>();
        Self { loss, gradient: weights.iter().map(|w| w * ridge).collect(), curvature }
    }

    /// Adds `scale` times the outer product of a row (its lower half).
    fn bend(&mut self, x: &[(u16, f32)], scale: f64) {
        let n = self.gradient.len();
        for (i, (row, a)) in x.iter().enumerate() {
            let a = scale * f64::from(*a);
            for (column, b) in &x[..=i] {
                self.curvature[*row as usize * n + *column as usize] += a * f64::from(*b);
            }
        }
    }

    fn push(&mut self, x: &[(u16, f32)], scale: f64) {
        x.iter().for_each(|(at, value)| self.gradient[*at as usize] += scale * f64::from(*value));
    }
}

fn log_one_plus_exp(z: f64) -> f64 {
    z.max(0.0) + (-z.abs()).exp().ln_1p()
}

/// Weights by which the rows come true with the chance that the sigmoid of their sum says.
///
/// The rows' columns must rise. `ridge` pulls every weight to zero; without it a separable column has no end.
#[must_use]
pub fn logistic(rows: &[&Row], start: &[f64], ridge: f64) -> Vec<f64> {
    let shape = |weights: &[f64], all: bool| {
        let mut shape = Shape::ridge(weights, ridge);
        for row in rows {
            let z = dot(weights, &row.x);
            shape.loss += row.weight * log_one_plus_exp(if row.y { -z } else { z });
            if all {
                let p = sigmoid(z);
                shape.push(&row.x, row.weight * (p - f64::from(u8::from(row.y))));
                shape.bend(&row.x, row.weight * p * (1.0 - p));
            }
        }
        shape
    };
    descend(start, shape)
}

/// Weights by which the true ones of each group come out first (conditional logit); a group without a true row, or
/// with nothing else, says nothing.
#[must_use]
pub fn choice(groups: &[&[Row]], start: &[f64], ridge: f64) -> Vec<f64> {
    let shape = |weights: &[f64], all: bool| {
        let mut shape = Shape::ridge(weights, ridge);
        for group in groups {
            let true_ones: f64 = group.iter().map(|row| f64::from(u8::from(row.y))).sum();
            if true_ones == 0.0 {
                continue;
            }
            let sums: Vec<f64> = group.iter().map(|row| dot(weights, &row.x)).collect();
            let most = sums.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let whole: f64 = sums.iter().map(|sum| (sum - most).exp()).sum();
            let mut mean = vec![0.0; weights.len()];
            for (row, sum) in group.iter().zip(&sums) {
                let (p, y) = ((sum - most).exp() / whole, f64::from(u8::from(row.y)) / true_ones);
                shape.loss -= y * (sum - most - whole.ln());
                if all {
                    shape.push(&row.x, p - y);
                    shape.bend(&row.x, p);
                    row.x.iter().for_each(|(at, value)| mean[*at as usize] += p * f64::from(*value));
                }
            }
            if all {
                shape.bend(&sparse(&mean), -1.0);
            }
        }
        shape
    };
    descend(start, shape)
}

fn descend(start: &[f64], shape: impl Fn(&[f64], bool) -> Shape) -> Vec<f64> {
    let mut weights = start.to_vec();
    for _ in 0..MAX_STEPS {
        let here = shape(&weights, true);
        let Some(step) = solve(here.curvature, &here.gradient) else { return weights };
        let mut length = 1.0;
        let mut next = None;
        for _ in 0..MAX_HALVINGS {
            let there: Vec<f64> = weights.iter().zip(&step).map(|(w, s)| w - length * s).collect();
            let loss = shape(&there, false).loss;
            if loss < here.loss {
                next = Some((there, loss));
                break;
            }
            length *= 0.5;
        }
        let Some((there, loss)) = next else { return weights };
        weights = there;
        if here.loss - loss < SMALL_GAIN * here.loss.abs() {
            break;
        }
    }
    weights
}

/// Solves a symmetric positive system of which the lower half is given (Cholesky); `None` where it is not positive.
fn solve(mut a: Vec<f64>, b: &[f64]) -> Option<Vec<f64>> {
    let n = b.len();
    let mut out = b.to_vec();
    for i in 0..n {
        for j in 0..=i {
            let inner: f64 = (0..j).map(|k| a[i * n + k] * a[j * n + k]).sum();
            let rest = a[i * n + j] - inner;
            if i == j && rest <= 0.0 {
                return None;
            }
            a[i * n + j] = if i == j { rest.sqrt() } else { rest / a[j * n + j] };
        }
        let inner: f64 = (0..i).map(|k| a[i * n + k] * out[k]).sum();
        out[i] = (out[i] - inner) / a[i * n + i];
    }
    for i in (0..n).rev() {
        let inner: f64 = (i + 1..n).map(|k| a[k * n + i] * out[k]).sum();
        out[i] = (out[i] - inner) / a[i * n + i];
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(x: &[f64], y: bool, weight: f64) -> Row {
        Row { x: sparse(x), y, weight }
    }

    #[test]
    fn a_system_is_solved() {
        // [4 2; 2 3] x = [8; 7] has x = [1.25, 1.5].
        let x = solve(vec![4.0, 0.0, 2.0, 3.0], &[8.0, 7.0]).unwrap();
        assert!((x[0] - 1.25).abs() < 1e-12 && (x[1] - 1.5).abs() < 1e-12, "{x:?}");
        assert!(solve(vec![1.0, 0.0, 2.0, 1.0], &[1.0, 1.0]).is_none());
    }

    #[test]
    fn without_a_pull_the_rates_of_two_groups_come_back() {
        // Three in four of the first group, one in five of the second.
        let rows = [
            row(&[1.0, 0.0], true, 3.0),
            row(&[1.0, 0.0], false, 1.0),
            row(&[0.0, 1.0], true, 1.0),
            row(&[0.0, 1.0], false, 4.0),
        ];
        let fitted = logistic(&rows.iter().collect::<Vec<_>>(), &[0.0, 0.0], 1e-9);
        assert!((sigmoid(fitted[0]) - 0.75).abs() < 1e-6 && (sigmoid(fitted[1]) - 0.2).abs() < 1e-6, "{fitted:?}");
        let pulled = logistic(&rows.iter().collect::<Vec<_>>(), &[0.0, 0.0], 10.0);
        assert!(pulled[0] > 0.0 && pulled[0] < fitted[0] && pulled[1] < 0.0 && pulled[1] > fitted[1], "{pulled:?}");
    }

    #[test]
    fn a_choice_among_two_is_the_logistic_of_the_difference() {
        // The row with the mark is chosen three times in four: weight ln 3.
        let won = [row(&[1.0], true, 1.0), row(&[0.0], false, 1.0)];
        let lost = [row(&[1.0], false, 1.0), row(&[0.0], true, 1.0)];
        let none = [row(&[1.0], false, 1.0), row(&[0.0], false, 1.0)];
        let fitted = choice(&[&won, &won, &won, &lost, &none], &[0.0], 1e-9);
        assert!((fitted[0] - 3.0_f64.ln()).abs() < 1e-6, "{fitted:?}");
    }
}
