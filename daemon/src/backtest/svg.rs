//! A report as one SVG file: reliability, coverage against precision, what was right and what was gained over time.
//!
//! Text by hand, no font and no script; its colours follow the reader's light or dark scheme. Every point carries its
//! numbers as a title, so that a reader can hover over them.

use std::fmt::Write;

use super::own::Report;
use super::plot::{along, gains};

/// Width and height of one panel, and the room around its frame.
const PANEL: (f64, f64) = (420.0, 320.0);
/// See [`PANEL`].
const ROOM: f64 = 48.0;

const STYLE: &str = "svg{background:#fff;color:#222;font:12px system-ui,sans-serif}text{fill:currentColor}\
    .axis{stroke:currentColor;stroke-width:1;fill:none}.even{stroke:#999;stroke-dasharray:4 4;fill:none}\
    .ours{stroke:#0a66c2;fill:none;stroke-width:2}.dot{fill:#0a66c2}.other{stroke:#c2600a;fill:none;stroke-width:2}\
    .odd{fill:#c2600a}@media(prefers-color-scheme:dark){svg{background:#111;color:#ddd}.ours{stroke:#6cb4ff}\
    .dot{fill:#6cb4ff}.other{stroke:#ffb066}.odd{fill:#ffb066}}";

/// A point in a panel: where, and what a reader hovers for.
struct Dot {
    x: f64,
    y: f64,
    title: String,
}

/// One panel: its place, what it shows, and the range of its upright axis.
struct Panel<'a> {
    place: (f64, f64),
    title: &'a str,
    across: &'a str,
    range: (f64, f64),
    /// How the ends of the axis across are called.
    ends: (String, String),
}

/// The text of the file.
#[must_use]
pub fn svg(report: &Report) -> String {
    let (wide, high) = (2.0 * PANEL.0, 2.0 * PANEL.1 + ROOM);
    let mut out = String::new();
    let _infallible = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {wide} {high}\" role=\"img\"><title>Clone backtest</title>\
         <style>{STYLE}</style><text x=\"{ROOM}\" y=\"24\">{}</text>",
        escaped(&told(report))
    );
    reliability(&mut out, report);
    coverage(&mut out, report);
    right(&mut out, report);
    gained(&mut out, report);
    out.push_str("</svg>\n");
    out
}

fn told(report: &Report) -> String {
    let score = report.predictors.first().map(|named| named.score).unwrap_or_default();
    format!(
        "{} replies scored: first candidate right {:.1} %, one of three {:.1} %; {} automatic at {}, {} of them wrong",
        report.scored,
        score.top1 * 100.0,
        score.top3 * 100.0,
        score.autos,
        report.threshold,
        score.wrong_autos
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

impl Panel<'_> {
    fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let (low, high) = self.range;
        let up = if high > low { ((y - low) / (high - low)).clamp(0.0, 1.0) } else { 0.0 };
        let inside = (PANEL.0 - 2.0 * ROOM, PANEL.1 - 2.0 * ROOM);
        (self.place.0 + ROOM + x.clamp(0.0, 1.0) * inside.0, self.place.1 + ROOM + (1.0 - up) * inside.1)
    }

    /// The frame, its title and what its axes run to.
    fn frame(&self, out: &mut String) {
        let ((left, bottom), (right, top)) = (self.at(0.0, self.range.0), self.at(1.0, self.range.1));
        let mut text = |x: f64, y: f64, anchor: &str, what: &str| {
            let what = escaped(what);
            let _infallible = writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{what}</text>");
        };
        text(left, top - 10.0, "start", self.title);
        text((left + right) / 2.0, bottom + 32.0, "middle", self.across);
        text(left, bottom + 16.0, "start", &self.ends.0);
        text(right, bottom + 16.0, "end", &self.ends.1);
        text(left - 6.0, top + 4.0, "end", &format!("{:.2}", self.range.1));
        text(left - 6.0, bottom, "end", &format!("{:.2}", self.range.0));
        let _infallible = writeln!(out, "<path class=\"axis\" d=\"M{left:.1} {top:.1}V{bottom:.1}H{right:.1}\"/>");
    }

    fn line(&self, out: &mut String, class: &str, points: impl Iterator<Item = (f64, f64)>) {
        let points: Vec<String> = points
            .map(|(x, y)| {
                let (x, y) = self.at(x, y);
                format!("{x:.1},{y:.1}")
            })
            .collect();
        let _infallible = writeln!(out, "<polyline class=\"{class}\" points=\"{}\"/>", points.join(" "));
    }

    fn dots(&self, out: &mut String, class: &str, dots: impl Iterator<Item = Dot>) {
        for Dot { x, y, title } in dots {
            let ((x, y), title) = (self.at(x, y), escaped(&title));
            let _infallible = writeln!(
                out,
                "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"><title>{title}</title></circle>"
            );
        }
    }
}

fn reliability(out: &mut String, report: &Report) {
    let bins = &report.calibration.bins;
    let most = bins.iter().map(|bin| bin.said.max(bin.came)).fold(0.01, f64::max);
    let (mean, high) = report.calibration.noise;
    let title = format!("said and came: error {:.4}, noise {mean:.4} to {high:.4}", report.calibration.ece);
    let panel = Panel {
        place: (0.0, ROOM / 2.0),
        title: &title,
        across: "what was said",
        range: (0.0, most),
        ends: ("0".to_owned(), format!("{most:.2}")),
    };
    panel.frame(out);
    panel.line(out, "even", [(0.0, 0.0), (1.0, most)].into_iter());
    panel.line(out, "ours", bins.iter().map(|bin| (bin.said / most, bin.came)));
    let told = |bin: &super::score::Bin| format!("said {:.4}, came {:.4}, n {}", bin.said, bin.came, bin.n);
    panel.dots(out, "dot", bins.iter().map(|bin| Dot { x: bin.said / most, y: bin.came, title: told(bin) }));
}

fn coverage(out: &mut String, report: &Report) {
    let panel = Panel {
        place: (PANEL.0, ROOM / 2.0),
        title: "precision among the surest",
        across: "share of all replies",
        range: (0.0, 1.0),
        ends: ("0".to_owned(), "1".to_owned()),
    };
    panel.frame(out);
    panel.line(out, "even", [(0.0, report.threshold), (1.0, report.threshold)].into_iter());
    panel.line(out, "ours", report.coverage.iter().map(|point| (point.coverage, point.precision)));
    let dots = report.coverage.iter().map(|point| Dot {
        x: point.coverage,
        y: point.precision,
        title: format!("{:.4} right among {:.4}, from {:.4} on", point.precision, point.coverage, point.probability),
    });
    panel.dots(out, "dot", dots);
}

fn ends(report: &Report) -> (String, String) {
    let day = |at: Option<clone_schema::Timestamp>| at.map_or_else(String::new, |at| format!("{at:.0}"));
    (day(report.from), day(report.to))
}

fn right(out: &mut String, report: &Report) {
    let stretches = &report.over_time;
    let most = stretches.iter().map(|stretch| stretch.top3).fold(0.1, f64::max);
    let panel = Panel {
        place: (0.0, ROOM / 2.0 + PANEL.1),
        title: "right over time: first (blue), one of three",
        across: "",
        range: (0.0, most),
        ends: ends(report),
    };
    panel.frame(out);
    let places = || along(stretches.len());
    panel.line(out, "other", places().zip(stretches.iter().map(|stretch| stretch.top3)));
    panel.line(out, "ours", places().zip(stretches.iter().map(|stretch| stretch.top1)));
    let told = |stretch: &super::own::Stretch| {
        format!("{:.0}: first {:.4}, of three {:.4}, n {}", stretch.from, stretch.top1, stretch.top3, stretch.n)
    };
    let dots = places().zip(stretches).map(|(x, stretch)| Dot { x, y: stretch.top1, title: told(stretch) });
    panel.dots(out, "dot", dots);
}

fn gained(out: &mut String, report: &Report) {
    let stretches = &report.over_time;
    let panel = Panel {
        place: (PANEL.0, ROOM / 2.0 + PANEL.1),
        title: "gained by acting, summed",
        across: "silence gains 0",
        range: gains(report),
        ends: ends(report),
    };
    panel.frame(out);
    panel.line(out, "even", [(0.0, 0.0), (1.0, 0.0)].into_iter());
    let places = || along(stretches.len());
    panel.line(out, "ours", places().zip(stretches.iter().map(|stretch| stretch.utility[0])));
    let told = |stretch: &super::own::Stretch| {
        let [ours, frequent, nearest] = stretch.utility;
        format!("ours {ours:.0}, most frequent {frequent:.0}, nearest {nearest:.0}")
    };
    let dots = places().zip(stretches).map(|(x, stretch)| Dot { x, y: stretch.utility[0], title: told(stretch) });
    panel.dots(out, "dot", dots);
}

#[cfg(test)]
mod tests {
    use super::super::own::{Wanted, replay, tests::lived};
    use super::*;

    #[test]
    fn it_is_well_formed_and_its_numbers_are_the_reports() {
        let report = replay(lived(300).iter(), Wanted::default(), true);
        let text = svg(&report);
        let document = roxmltree::Document::parse(&text).unwrap();
        let titles: Vec<&str> =
            document.descendants().filter(|node| node.has_tag_name("title")).filter_map(|node| node.text()).collect();
        for bin in &report.calibration.bins {
            let told = format!("said {:.4}, came {:.4}, n {}", bin.said, bin.came, bin.n);
            assert!(titles.contains(&told.as_str()), "{told}");
        }
        let dots = document.descendants().filter(|node| node.has_tag_name("circle")).count();
        let stretches = 2 * report.over_time.len();
        assert_eq!(dots, report.calibration.bins.len() + report.coverage.len() + stretches);
        let style = document.descendants().find(|node| node.has_tag_name("style")).and_then(|node| node.text());
        assert!(style.is_some_and(|style| style.contains("prefers-color-scheme:dark")));
        let inside = |name: &str, most: f64| {
            let mut values = document.descendants().filter_map(|node| node.attribute(name)?.parse::<f64>().ok());
            values.all(|value| (0.0..=most).contains(&value))
        };
        assert!(inside("cx", 2.0 * PANEL.0) && inside("cy", 2.0 * PANEL.1 + ROOM));
    }

    #[test]
    fn nothing_and_anything_is_well_formed() {
        let mut report = Report::default();
        assert!(roxmltree::Document::parse(&svg(&report)).is_ok());
        report.calibration.bins.push(super::super::score::Bin { n: 0, said: f64::NAN, came: 0.0 });
        assert!(roxmltree::Document::parse(&svg(&report)).is_ok());
        assert_eq!(escaped("a<b>&\"c\""), "a&lt;b&gt;&amp;&quot;c&quot;");
    }
}
