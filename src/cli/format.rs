//! Numbers, findings and summaries as people read them.

use chrono::NaiveDateTime;

use crate::alert::Revision;
use crate::job::{RecordStatus, Summary};
use crate::model::{AnomalyGroup, Cause, Direction, Finding, Notice, RootCause, ScoredRecord, SharesOf};

/// Thousands apart: `1,234,567`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

pub(super) use crate::model::show_value as value;

/// Bytes as people read them.
#[expect(clippy::cast_precision_loss, reason = "a size to read")]
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..1000 => format!("{bytes} B"),
        1000..1_000_000 => format!("{:.0} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// A time in seconds as people read it: in whole minutes, where it is a minute or longer.
pub(super) fn time(seconds: u64) -> String {
    if seconds < 60 { format!("{seconds} s") } else { minutes(seconds / 60) }
}

fn minutes(minutes: u64) -> String {
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

/// A bound of a band, which may be open.
fn bound(number: f64) -> String {
    if number.is_finite() { value(number) } else { "∞".into() }
}

pub(super) const FINDING_HEADER: &str =
    "INTERVAL             MEASURE          SEV      VALUE   EXPECTED  BAND                    WHERE";

/// One line per finding, under [`FINDING_HEADER`].
pub(super) fn finding_line(group: &AnomalyGroup, finding: &Finding) -> String {
    let arrow = arrow(finding.direction);
    let interval = group.interval.to_string();
    let given = finding.value.map_or_else(|| "none".into(), value);
    let band = format!("{} – {}", bound(finding.lower), bound(finding.upper));
    format!(
        "{interval:<20} {measure:<16} {severity:>3.0} {arrow} {given:>9}  {expected:>9}  {band:<22}  {dimensions}",
        measure = group.measure,
        severity = finding.severity,
        expected = value(finding.expected),
        dimensions = finding.dimensions,
    )
}

pub(super) const RECORD_HEADER: &str = "EVENT TIME                  SCORE  BECAUSE OF               RECORD";

/// One line per scored record, under [`RECORD_HEADER`].
pub(super) fn record_line(record: &ScoredRecord) -> String {
    let because = record.main_share().map_or_else(String::new, |share| {
        let percent = if record.score > 0.0 { share.score / record.score * 100.0 } else { 0.0 };
        format!("{} {} {percent:.0} %", arrow(share.direction), share.column)
    });
    let dimensions = record.dimensions.iter().map(|(name, value)| format!("{name}={value}"));
    let fields = record.fields.iter().map(|(name, value)| format!("{name}={value}"));
    let all: Vec<String> = dimensions.chain(fields).collect();
    format!("{:<26} {:>6.3}  {because:<24} {}", record.time.to_string(), record.score, all.join(", "))
}

/// How many records were scored, and by what.
pub(super) fn records(records: &RecordStatus) -> String {
    let RecordStatus { scored, unscored, forests, learning, sharing } = *records;
    let of = |what: &str, number: u64| if number > 0 { format!(", {} {what}", count(number)) } else { String::new() };
    let forests = match forests {
        1 => "one forest".to_owned(),
        forests => format!("{} forests", count(forests as u64)),
    };
    let learning = of("of them still learning", learning as u64);
    let sharing = of("keys share one", sharing as u64);
    format!("{} scored by {forests}{learning}{sharing}{}", count(scored), of("without a value", unscored))
}

/// Why a group deviates, a line per cause; none where nothing is known.
pub(super) fn cause_lines(group: &AnomalyGroup) -> Vec<String> {
    let RootCause { causes, unexplained, external, shares_of } = &group.root_cause;
    let of = |share: f64| match shares_of {
        SharesOf::Net => format!("{:.0} % of the deviation", share * 100.0),
        SharesOf::Gross => format!("{:.0} % of all deviations", share * 100.0),
    };
    let cause = |cause: &Cause| {
        let Cause { dimensions, share, value, expected } = cause;
        format!(
            "cause: {dimensions}, {}, {} where {} was expected",
            of(*share),
            self::value(*value),
            self::value(*expected)
        )
    };
    let mut lines: Vec<String> = causes.iter().map(cause).collect();
    if !causes.is_empty() && unexplained.abs() >= 0.005 {
        lines.push(format!("unexplained: {}", of(*unexplained)));
    }
    if *external {
        lines.push("cause: outside the dimensions, all series moved".to_owned());
    }
    lines
}

fn arrow(direction: Direction) -> char {
    match direction {
        Direction::High => '▲',
        Direction::Low => '▼',
    }
}

/// One line per revision, under [`FINDING_HEADER`]: the revised value against the band of then, and what became of it.
pub(super) fn revision_line(revision: &Revision) -> String {
    let Revision { value, expected, lower, upper, severity, .. } = revision;
    let band = format!("{} – {}", bound(*lower), bound(*upper));
    format!(
        "{interval:<20} {measure:<16} {severity:>3.0} {arrow} {value:>9}  {expected:>9}  {band:<22}  {dimensions}  \
         {status}",
        interval = revision.interval_start.to_string(),
        measure = revision.measure,
        arrow = arrow(revision.direction),
        value = self::value(*value),
        expected = self::value(*expected),
        dimensions = revision.dimensions,
        status = status(revision),
    )
}

/// `withdrawn: 240.0 before late rows, 812.0 with them`.
pub(super) fn status(revision: &Revision) -> String {
    let before = revision.value_before.map_or_else(|| "none".into(), value);
    format!("{}: {before} before late rows, {} with them", revision.status, value(revision.value))
}

/// One line of what is told of an incident.
pub(super) fn notice_line(notice: &Notice) -> String {
    format!("{}  {:>3.0}  {}  ({})", notice.time.format("%Y-%m-%d %H:%M"), notice.severity, notice.title, notice.thread)
}

/// How many revisions there were, behind the number of findings.
pub(super) fn revised(revisions: u64) -> String {
    if revisions == 0 { String::new() } else { format!(", {} revised by late rows", count(revisions)) }
}

/// How many series there are, how many of them still learn, and when the last of those speaks.
pub(super) fn series(all: u64, learning: u64, speaks: Option<NaiveDateTime>) -> String {
    if learning == 0 {
        return count(all);
    }
    let last = speaks.map(|at| format!(", the last speaks at {at}")).unwrap_or_default();
    format!("{}, {} of them still learning{last}", count(all), count(learning))
}

/// A figure between 0 and 1, or that there is none.
pub(super) fn figure(figure: Option<f64>) -> String {
    figure.map_or_else(|| "n/a".into(), |figure| format!("{figure:.3}"))
}

/// The account of a job.
pub(super) fn summary(summary: &Summary) -> String {
    let mut lines = Vec::new();
    let tally = &summary.tally;
    let held = if summary.held > 0 { format!(" + open {}", count(summary.held)) } else { String::new() };
    lines.push(format!(
        "rows       read {} = written {} + late {} + filtered {} + rejected {}{held}",
        count(tally.read() + summary.held),
        count(tally.written),
        count(tally.late),
        count(tally.filtered),
        count(tally.rejected)
    ));
    lines.push(format!("intervals  {} closed", count(summary.intervals)));
    if summary.series > 0 {
        lines.push(format!("series     {}", series(summary.series, summary.learning, summary.speaks)));
        lines.push(format!("findings   {}{}", count(summary.findings), revised(summary.revisions)));
    }
    if let Some(status) = &summary.records {
        lines.push(format!("records    {}", records(status)));
        lines.push(format!("findings   {}", count(summary.findings)));
    }
    lines.push(format!("speed      {}", speed(summary)));
    lines.join("\n")
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate to read"
)]
fn speed(summary: &Summary) -> String {
    let seconds = summary.elapsed.as_secs_f64();
    if summary.read == 0 {
        return format!("nothing new to read, {seconds:.1} s");
    }
    format!("{} rows/s, {seconds:.1} s", count((summary.read as f64 / seconds.max(1e-9)) as u64))
}

/// Puts the hint of an error message on a line of its own.
pub(super) fn hint_on_a_line(message: &str) -> String {
    message.replacen("; hint: ", "\n  hint: ", usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_that_is_not_there_is_no_number() {
        assert_eq!([figure(None), figure(Some(1.0)), figure(Some(0.25))], ["n/a", "1.000", "0.250"]);
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [0.0, 5.0, 1234.0, 1234.56, 0.012_345, 1e-9, -3.0].map(value),
            ["0", "5.00", "1234", "1234.6", "0.01235", "1.000e-9", "-3.00"]
        );
    }
}
