//! A report as lines for a terminal: figures, reliability, coverage against precision, utility over time.

use super::own::{Named, Report};
use super::score::Bin;

/// Columns and lines of a plot.
const WIDE: usize = 60;
/// See [`WIDE`].
const HIGH: usize = 10;
/// Columns of a bar of what was said and what came.
const BAR: usize = 40;
/// Columns of a name.
const NAME: usize = 22;

/// The whole report, as a person reads it.
#[must_use]
pub fn lines(report: &Report) -> Vec<String> {
    let mut out = head(report);
    if report.scored == 0 {
        out.push("nothing to score yet: import a history, or work on".to_owned());
        return out;
    }
    out.push(String::new());
    out.extend(figures("", &report.predictors));
    out.push(String::new());
    out.extend(thresholds(report));
    out.push(String::new());
    out.extend(reliability(report));
    out.push(String::new());
    out.extend(coverage(report));
    out.push(String::new());
    out.extend(over_time(report));
    for (what, parts) in
        [("by kind", &report.by_kind), ("by agent", &report.by_agent), ("by project", &report.by_project)]
    {
        if !parts.is_empty() {
            out.push(String::new());
            out.extend(figures(what, parts));
        }
    }
    out
}

/// What was replayed, and the one sentence that it comes to.
fn head(report: &Report) -> Vec<String> {
    let Report { replies, replayed, scored, threshold, strict, .. } = report;
    let gate = if *strict { "strict" } else { "standard" };
    let mut out = vec![format!(
        "{scored} replies scored of {replayed} replayed in time order; threshold {threshold}, {gate} gate, as if auto were on"
    )];
    if replayed < replies {
        out.push(format!("the newest {replayed} of {replies}: what came before was left out"));
    }
    if let (Some(from), Some(to)) = (report.from, report.to) {
        out.push(format!("from {from:.0} to {to:.0}"));
    }
    out
}

/// A share as a percentage.
fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn clipped(name: &str) -> String {
    clone_schema::text::clipped(clone_schema::text::one_line(name), NAME)
}

fn figures(what: &str, parts: &[Named]) -> Vec<String> {
    let mut out = vec![format!(
        "{what:<NAME$} {:>6} {:>8} {:>8} {:>8} {:>7} {:>6} {:>6} {:>8} {:>9}",
        "n", "first", "of three", "skill", "ECE", "auto", "wrong", "utility", "covered"
    )];
    out.extend(parts.iter().map(|Named { name, score }| {
        let skill = score.skill.map_or_else(|| "-".to_owned(), |skill| format!("{skill:.3}"));
        format!(
            "{:<NAME$} {:>6} {:>8} {:>8} {:>8} {:>7.3} {:>6} {:>6} {:>8.3} {:>9}",
            clipped(name),
            score.n,
            percent(score.top1),
            percent(score.top3),
            skill,
            score.ece,
            score.autos,
            score.wrong_autos,
            score.utility,
            percent(score.coverage)
        )
    }));
    out
}

fn thresholds(report: &Report) -> Vec<String> {
    let mut out = vec![format!(
        "{:<NAME$} {:>6} {:>6} {:>9} {:>10} {:>8}",
        "acting from", "auto", "wrong", "coverage", "precision", "utility"
    )];
    out.extend(report.thresholds.iter().map(|at| {
        let precision = at.precision.map_or_else(|| "-".to_owned(), percent);
        let (coverage, threshold) = (percent(at.coverage), at.threshold);
        format!("{threshold:<NAME$} {:>6} {:>6} {coverage:>9} {precision:>10} {:>8.3}", at.autos, at.wrong, at.utility)
    }));
    out
}

/// One line a bin: `o` where it said, `x` where it came, `*` where both fall together.
fn reliability(report: &Report) -> Vec<String> {
    let calibration = &report.calibration;
    let (mean, high) = calibration.noise;
    let mut out = vec![format!(
        "said (o) and came (x); error {:.4}, a perfect forecaster shows {mean:.4}, {high:.4} one time in twenty",
        calibration.ece
    )];
    let most = calibration.bins.iter().map(|bin| bin.said.max(bin.came)).fold(0.01, f64::max);
    out.extend(calibration.bins.iter().map(|bin| {
        let (said, came) = (percent(bin.said), percent(bin.came));
        format!("{said:>8} {came:>8} {:>6} |{}", bin.n, bar(bin, most))
    }));
    out
}

fn bar(bin: &Bin, most: f64) -> String {
    let (said, came) = (place(bin.said / most, BAR), place(bin.came / most, BAR));
    let mark = |at: usize| match (at == said, at == came) {
        (true, true) => '*',
        (true, false) => 'o',
        (false, true) => 'x',
        (false, false) => ' ',
    };
    (0..BAR).map(mark).collect::<String>().trim_end().to_owned()
}

/// The column of a share, of so many.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
fn place(share: f64, of: usize) -> usize {
    let last = of.saturating_sub(1);
    ((share.clamp(0.0, 1.0) * last as f64).round() as usize).min(last)
}

/// Points of several marks in a frame, the later marks on top.
fn frame(series: &[(char, Vec<(f64, f64)>)], (low, high): (f64, f64)) -> Vec<String> {
    let mut cells = vec![vec![' '; WIDE]; HIGH];
    let span = if high > low { high - low } else { 1.0 };
    for (mark, points) in series {
        for (x, y) in points {
            let row = HIGH - 1 - place((y - low) / span, HIGH);
            cells[row][place(*x, WIDE)] = *mark;
        }
    }
    let label = |row: usize| match row {
        0 => format!("{high:>8.2}"),
        row if row == HIGH - 1 => format!("{low:>8.2}"),
        _ => " ".repeat(8),
    };
    let mut out: Vec<String> = cells
        .iter()
        .enumerate()
        .map(|(row, cells)| format!("{} |{}", label(row), cells.iter().collect::<String>()).trim_end().to_owned())
        .collect();
    out.push(format!("{} +{}", " ".repeat(8), "-".repeat(WIDE)));
    out
}

fn coverage(report: &Report) -> Vec<String> {
    let mut out = vec!["precision (up) among the surest so many of all (right: all of them)".to_owned()];
    let points = report.coverage.iter().map(|point| (point.coverage, point.precision)).collect();
    out.extend(frame(&[('*', points)], (0.0, 1.0)));
    out
}

/// The places of stretches along the whole, 0 to 1.
pub(super) fn along(n: usize) -> impl Iterator<Item = f64> {
    (0..n).map(move |at| super::score::share(at, n.saturating_sub(1)))
}

/// The lowest and the highest gain of ours and of nobody, over time: what the plain ones lose has no room here.
pub(super) fn gains(report: &Report) -> (f64, f64) {
    let ours = report.over_time.iter().map(|stretch| stretch.utility[0]);
    let (low, high) = ours.fold((0.0, 0.0), |(low, high): (f64, f64), gain| (low.min(gain), high.max(gain)));
    if high > low { (low, high) } else { (-1.0, 1.0) }
}

fn over_time(report: &Report) -> Vec<String> {
    let stretches = &report.over_time;
    let column = |of: fn(&super::own::Stretch) -> f64| -> Vec<(f64, f64)> {
        along(stretches.len()).zip(stretches.iter().map(of)).collect()
    };
    let most = stretches.iter().map(|stretch| stretch.top3).fold(0.1, f64::max);
    let mut out = vec!["right over time: first candidate (1), one of three (3)".to_owned()];
    out.extend(frame(&[('3', column(|s| s.top3)), ('1', column(|s| s.top1))], (0.0, most)));
    let last = stretches.last().map_or([0.0; 3], |last| last.utility);
    out.push(format!(
        "gained by acting, summed over time; at the end ours {:.0}, most frequent {:.0}, nearest {:.0}, silence 0",
        last[0], last[1], last[2]
    ));
    out.extend(frame(&[('*', column(|s| s.utility[0]))], gains(report)));
    out
}

#[cfg(test)]
mod tests {
    use super::super::own::{Wanted, replay, tests::lived};
    use super::*;

    #[test]
    fn every_figure_of_the_report_is_on_the_screen_and_no_line_is_wide() {
        let report = replay(lived(300).iter(), Wanted::default(), true);
        let lines = lines(&report);
        let text = lines.join("\n");
        for bin in &report.calibration.bins {
            let row = format!("{:>8} {:>8} {:>6} |", percent(bin.said), percent(bin.came), bin.n);
            assert!(text.contains(&row), "{row} is not in\n{text}");
        }
        for name in ["clone", "silent", "most frequent", "nearest", "offer", "by agent", "by project", "parser"] {
            assert!(text.contains(name), "{name}");
        }
        assert!(lines.iter().all(|line| line.chars().count() <= 120), "{text}");
    }

    #[test]
    fn marks_stand_where_their_numbers_say() {
        let bin = |said: f64, came: f64| Bin { n: 1, said, came };
        assert_eq!(bar(&bin(0.0, 1.0), 1.0), format!("o{}x", " ".repeat(BAR - 2)));
        assert_eq!(bar(&bin(0.5, 0.5), 1.0).trim(), "*");
        let frame = frame(&[('a', vec![(0.0, 0.0), (1.0, 1.0)]), ('b', vec![(1.0, 1.0)])], (0.0, 1.0));
        assert!(frame[0].ends_with('b') && frame[0].starts_with("    1.00 |"), "{frame:?}");
        assert_eq!(frame[HIGH - 1], "    0.00 |a");
        let nothing = lines(&Report::default()).join("\n");
        assert!(nothing.contains("nothing to score yet"), "{nothing}");
    }
}
