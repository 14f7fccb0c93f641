//! Precision over recall as SVG: axes from 0 to 1, a line through the points in the order of sensitivity, a label at
//! each. The same points give the same bytes. Nothing is read and nothing is written here.

/// A point of the curve.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Point {
    /// Its sensitivity; plain text without markup.
    pub(super) label: String,
    /// 0 to 1.
    pub(super) recall: f64,
    /// 0 to 1.
    pub(super) precision: f64,
    /// What it stands for.
    pub(super) mark: Mark,
}

/// What a point stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mark {
    /// One of the sensitivities.
    Plain,
    /// That of the configuration.
    Configured,
    /// The one that holds where a configuration says nothing.
    Shipped,
}

impl Mark {
    fn word(self) -> &'static str {
        match self {
            Mark::Plain => "",
            Mark::Configured => " (configured)",
            Mark::Shipped => " (shipped)",
        }
    }
}

// pixels
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 560.0;
const LEFT: f64 = 70.0;
const TOP: f64 = 50.0;
const SIDE: f64 = 440.0;
/// Labels of points that are nearer than this would lie upon each other: they are joined.
const NEAR: f64 = 14.0;
/// So many labels of points that lie together are all told.
const TOGETHER_MAX: usize = 4;
/// Beyond this recall a label is on the left of its point.
const RIGHT_MOST: f64 = 0.9;

/// Draws points that are in the order of sensitivity.
pub(super) fn precision_recall(points: &[Point]) -> String {
    let mut lines = vec![
        format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">"#
        ),
        format!(r##"<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>"##),
        format!(
            r#"<text x="{LEFT}" y="28" font-size="15">Precision and recall by sensitivity (expected false alerts per series and week)</text>"#
        ),
    ];
    lines.extend(axes());
    let line: Vec<String> = points.iter().map(|point| format!("{:.1},{:.1}", x(point), y(point))).collect();
    if line.len() > 1 {
        lines.push(format!(
            r##"<polyline points="{}" fill="none" stroke="#4878a8" stroke-width="1.5"/>"##,
            line.join(" ")
        ));
    }
    // what is marked lies above what is not
    let mut drawn: Vec<&Point> = points.iter().collect();
    drawn.sort_by_key(|point| point.mark);
    lines.extend(drawn.into_iter().map(circle));
    lines.extend(labels(points));
    if points.is_empty() {
        let (middle, height) = (LEFT + SIDE / 2.0, TOP + SIDE / 2.0);
        lines.push(format!(
            r#"<text x="{middle}" y="{height}" text-anchor="middle">nothing was found at any sensitivity</text>"#
        ));
    }
    lines.push("</svg>\n".to_owned());
    lines.join("\n")
}

fn x(point: &Point) -> f64 {
    LEFT + SIDE * point.recall
}

fn y(point: &Point) -> f64 {
    TOP + SIDE * (1.0 - point.precision)
}

fn axes() -> Vec<String> {
    let mut lines = Vec::new();
    let (right, bottom) = (LEFT + SIDE, TOP + SIDE);
    for step in 0..=5 {
        let share = f64::from(step) / 5.0;
        let (at, up) = (LEFT + SIDE * share, bottom - SIDE * share);
        lines.push(format!(
            r##"<path d="M{at:.1} {TOP}V{bottom}M{LEFT} {up:.1}H{right}" stroke="#dddddd" fill="none"/>"##
        ));
        lines.push(format!(r#"<text x="{at:.1}" y="{}" text-anchor="middle">{share:.1}</text>"#, bottom + 18.0));
        lines.push(format!(r#"<text x="{}" y="{:.1}" text-anchor="end">{share:.1}</text>"#, LEFT - 8.0, up + 4.0));
    }
    let (middle, height) = (LEFT + SIDE / 2.0, TOP + SIDE / 2.0);
    lines
        .push(format!(r##"<rect x="{LEFT}" y="{TOP}" width="{SIDE}" height="{SIDE}" fill="none" stroke="#888888"/>"##));
    lines.push(format!(r#"<text x="{middle}" y="{}" text-anchor="middle">recall</text>"#, bottom + 40.0));
    lines.push(format!(
        r#"<text x="22" y="{height}" text-anchor="middle" transform="rotate(-90 22 {height})">precision</text>"#
    ));
    lines
}

fn circle(point: &Point) -> String {
    let (radius, fill, stroke) = match point.mark {
        Mark::Plain => (4, "#4878a8", "#4878a8"),
        Mark::Configured => (6, "#ffffff", "#4878a8"),
        Mark::Shipped => (6, "#d05030", "#d05030"),
    };
    let (x, y) = (x(point), y(point));
    format!(r#"<circle cx="{x:.1}" cy="{y:.1}" r="{radius}" fill="{fill}" stroke="{stroke}" stroke-width="2"/>"#)
}

/// A label for each point, one for those that lie together.
fn labels(points: &[Point]) -> Vec<String> {
    let mut together: Vec<Vec<&Point>> = Vec::new();
    for point in points {
        let near = |others: &&mut Vec<&Point>| {
            others.first().is_some_and(|first| (x(first) - x(point)).hypot(y(first) - y(point)) < NEAR)
        };
        match together.iter_mut().find(near) {
            Some(others) => others.push(point),
            None => together.push(vec![point]),
        }
    }
    let line = |points: Vec<&Point>| {
        let point = points.first()?;
        let (shift, anchor) = if point.recall > RIGHT_MOST { (-10.0, "end") } else { (10.0, "start") };
        let (x, y) = (x(point) + shift, y(point) - 8.0);
        Some(format!(r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{}</text>"#, text(&points)))
    };
    together.into_iter().filter_map(line).collect()
}

/// The labels of points that lie together: all of a few; of more the first, the last, and those that are marked.
fn text(points: &[&Point]) -> String {
    let is_told = |at: usize, point: &Point| {
        points.len() <= TOGETHER_MAX || at == 0 || at + 1 == points.len() || point.mark != Mark::Plain
    };
    let mut texts: Vec<String> = Vec::new();
    for (at, point) in points.iter().enumerate() {
        if is_told(at, point) {
            texts.push(format!("{}{}", point.label, point.mark.word()));
        } else if texts.last().is_some_and(|text| text != "...") {
            texts.push("...".to_owned());
        }
    }
    texts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(label: &str, recall: f64, precision: f64, mark: Mark) -> Point {
        Point { label: label.to_owned(), recall, precision, mark }
    }

    #[test]
    fn points_lie_where_they_belong_and_are_labelled() {
        let points = [
            point("0.01", 0.0, 1.0, Mark::Plain),
            point("0.05", 0.5, 0.75, Mark::Shipped),
            point("0.1", 0.51, 0.75, Mark::Configured),
            point("2", 1.0, 0.0, Mark::Plain),
        ];
        let svg = precision_recall(&points);
        assert_eq!(svg, precision_recall(&points), "the same bytes");
        for part in [
            r#"<polyline points="70.0,50.0 290.0,160.0 294.4,160.0 510.0,490.0""#,
            r#"<circle cx="70.0" cy="50.0" r="4""#,
            r##"<circle cx="290.0" cy="160.0" r="6" fill="#d05030""##,
            r##"<circle cx="294.4" cy="160.0" r="6" fill="#ffffff""##,
            ">0.01</text>",
            ">0.05 (shipped), 0.1 (configured)</text>",
            r#"text-anchor="end">2</text>"#,
        ] {
            assert_eq!(svg.matches(part).count(), 1, "{part} in\n{svg}");
        }
        // the shipped one is drawn last
        assert!(svg.rfind("<circle").unwrap() == svg.find(r#"<circle cx="290.0""#).unwrap());
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    }

    #[test]
    fn many_points_in_one_place_are_told_by_the_first_the_last_and_the_marked() {
        let mark = |at: usize| if at == 3 { Mark::Shipped } else { Mark::Plain };
        let points: Vec<Point> = (0..7).map(|at| point(&at.to_string(), 1.0, 1.0, mark(at))).collect();
        assert!(precision_recall(&points).contains(">0, ..., 3 (shipped), ..., 6</text>"));
        assert!(precision_recall(&points[..4]).contains(">0, 1, 2, 3 (shipped)</text>"));
    }

    #[test]
    fn without_a_point_it_says_so() {
        let svg = precision_recall(&[]);
        assert!(svg.contains("nothing was found") && !svg.contains("<polyline") && !svg.contains("<circle"));
        assert!(!precision_recall(&[point("1", 0.5, 0.5, Mark::Plain)]).contains("<polyline"));
    }
}
