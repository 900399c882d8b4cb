//! The answers nearby, laid out by token: a candidate is compared with all of them in one walk over its own tokens.
//!
//! The same sums in the same order as comparing it with one after the other, at a tenth of the time; a query does this
//! for some hundred candidates.

use super::habits::Habits;

/// One answer nearby.
struct Answer {
    list: usize,
    weight: f64,
    /// The number of the reply.
    reply: u32,
    /// Its tokens, repeats counted.
    length: usize,
}

/// How many lists there are: by the tail, by the last words, the newest.
pub(super) const LISTS: usize = 3;

/// The answers of all lists.
pub(super) struct Nearby {
    answers: Vec<Answer>,
    /// For each token number, where its runs begin and end.
    places: Vec<(u32, u32)>,
    /// (answer, how often the token stands in it), grouped by token.
    runs: Vec<(u32, u32)>,
}

fn narrow(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Every distinct number of a sorted list, with how often it stands there.
fn counted(sorted: &[u32]) -> impl Iterator<Item = (u32, u32)> + '_ {
    sorted.chunk_by(|a, b| a == b).map(|run| (run[0], narrow(run.len())))
}

impl Nearby {
    /// Lays out lists of (form, weight, reply).
    pub(super) fn new(habits: &Habits, lists: &[Vec<(u32, f64, u32)>; LISTS]) -> Self {
        let (mut answers, mut found) = (Vec::new(), Vec::new());
        for (list, entries) in lists.iter().enumerate() {
            for &(form, weight, reply) in entries.iter().filter(|(form, ..)| habits.form(*form).is_some()) {
                let tokens = habits.tokens_of(form);
                found.extend(counted(tokens).map(|(token, times)| (token, narrow(answers.len()), times)));
                answers.push(Answer { list, weight, reply, length: tokens.len() });
            }
        }
        found.sort_unstable();
        let mut places = vec![(0, 0); found.last().map_or(0, |(token, ..)| *token as usize + 1)];
        let mut runs = Vec::with_capacity(found.len());
        for group in found.chunk_by(|a, b| a.0 == b.0) {
            let begin = narrow(runs.len());
            runs.extend(group.iter().map(|(_, answer, times)| (*answer, *times)));
            places[group[0].0 as usize] = (begin, narrow(runs.len()));
        }
        Self { answers, places, runs }
    }

    /// Mean token F1 of a candidate's sorted tokens with the answers of each list, by their weights, one reply left out.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn means(&self, own: &[u32], left_out: Option<u32>) -> [f64; LISTS] {
        let mut shared = vec![0_u32; self.answers.len()];
        for (token, times) in counted(own) {
            let (begin, end) = self.places.get(token as usize).copied().unwrap_or_default();
            for &(answer, there) in &self.runs[begin as usize..end as usize] {
                shared[answer as usize] += there.min(times);
            }
        }
        let (mut sums, mut totals) = ([0.0; LISTS], [0.0; LISTS]);
        for (answer, shared) in self.answers.iter().zip(shared).filter(|(answer, _)| Some(answer.reply) != left_out) {
            let (short, long) = (answer.length.min(own.len()), answer.length.max(own.len()));
            // Lengths this far apart cannot hit.
            if short > 0 && long <= 3 * short {
                sums[answer.list] += answer.weight * (2.0 * f64::from(shared) / (short + long) as f64);
            }
            totals[answer.list] += answer.weight;
        }
        std::array::from_fn(|list| if totals[list] > 0.0 { sums[list] / totals[list] } else { 0.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_walk_gives_what_comparing_one_by_one_gives() {
        let replies = ["run it", "run it now now", "a b c d e f g h", "yes", "now run the tests", "it it it", "好 的"];
        let mut habits = Habits::default();
        let mut entries = Vec::new();
        for (at, reply) in (0_u32..).zip(replies) {
            let form = habits.add(at, reply, None).unwrap_or(99);
            entries.push((form, 1.0 / f64::from(at + 1), at));
        }
        let lists = [entries.clone(), entries[2..5].to_vec(), Vec::new()];
        let nearby = Nearby::new(&habits, &lists);
        for text in replies.into_iter().chain(["run", "nothing known", "", "now now now now"]) {
            let own = habits.numbers(text);
            for left_out in [None, Some(3), Some(99)] {
                let means = nearby.means(&own, left_out);
                for (list, mean) in lists.iter().zip(means) {
                    let others = list.iter().filter(|(.., reply)| Some(*reply) != left_out);
                    let others: Vec<(u32, f64)> = others.map(|(form, weight, _)| (*form, *weight)).collect();
                    let expected = habits.mean_overlap(&own, &others);
                    assert_eq!(mean.to_bits(), expected.to_bits(), "{text} {left_out:?}: {mean} {expected}");
                }
            }
        }
    }
}
