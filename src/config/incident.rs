//! `[incident]`: when an incident opens and ends, who is told how often; `[[incident.silence]]` and
//! `[incident.quiet_hours]` with the words of calendars. Nothing of it must be said.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::calendar::{only, timed};
use super::raw::Section;
use super::resolve::{Detect, zone};
use super::units::{self, SECOND};
use crate::incident::{QuietHours, Rules, Silence, SilenceMatcher};
use crate::model::{Calendar, Direction, Stretch, Weekly, Zone, nearest};

const MINUTE: Duration = Duration::from_secs(60);
const DAY_MINUTES: u32 = 24 * 60;
/// The longest that any of the times may be.
const LONG: Duration = Duration::from_secs(366 * 24 * 3600);
/// What is told at once in quiet hours, if it is not said.
const QUIET_SEVERITY: f64 = 90.0;

/// The rules of incidents of series with these dimensions, in intervals of this zone; `told` are the severities from
/// which on somebody is told.
pub(super) fn incident(
    section: &Section<'_>,
    detect: Option<&Detect>,
    (dimensions, zone): (&[String], Zone),
    told: &[f64],
) -> Rules {
    let usual = Rules::default();
    let times = |least: Duration| least..=LONG;
    let count = |key, default: u32, range: RangeInclusive<u64>| {
        u32::try_from(section.integer(key, u64::from(default), range)).unwrap_or(u32::MAX)
    };
    let mut rules = Rules {
        severity_threshold: told.iter().copied().reduce(f64::min).unwrap_or(usual.severity_threshold),
        severity_steps: told.to_vec(),
        open_at_once: section.number("open_at_once", usual.open_at_once, 0.0..=100.0),
        open_intervals: count("open_intervals", usual.open_intervals, 1..=8),
        open_window: count("open_window", usual.open_window, 1..=8),
        close_intervals: count("close_intervals", usual.close_intervals, 1..=10_000),
        reopen_within: section.duration("reopen_within", usual.reopen_within, times(SECOND)),
        flapping_after: count("flapping_after", usual.flapping_after, 1..=1000),
        hold_max: section.duration("hold_max", usual.hold_max, times(MINUTE)),
        level_shift_after: section.duration("level_shift_after", usual.level_shift_after, times(60 * MINUTE)),
        expire_after: section.duration("expire_after", usual.expire_after, times(60 * MINUTE)),
        remind_after: reminders(section).unwrap_or(usual.remind_after),
        update_spacing: section.duration("update_spacing", usual.update_spacing, times(SECOND)),
        notices_per_hour: count("notices_per_hour", usual.notices_per_hour, 1..=100_000),
        tell_resolved: section.flag("tell_resolved", usual.tell_resolved),
        tell_level_shift: section.flag("tell_level_shift", usual.tell_level_shift),
        direction: direction(section),
        min_volume: section.number("min_volume", usual.min_volume, 0.0..=1e15),
        rollups: section.flag("rollups", usual.rollups),
        silences: Vec::new(),
        quiet_hours: quiet_hours(&section.section("quiet_hours"), zone),
    };
    let sections = section.sections("silence");
    rules.silences = sections.iter().filter_map(|section| silence(section, detect, dimensions, zone)).collect();
    section.finish();
    if rules.open_intervals > rules.open_window {
        let window = rules.open_window;
        section.problem("open_intervals", &format!("is more than `open_window`, {window} intervals"));
    }
    for (index, silence) in rules.silences.iter().enumerate() {
        let name = silence.calendar.name();
        if rules.silences[..index].iter().any(|earlier| earlier.calendar.name() == name) {
            section.section_problem(&format!("has two silences named `{name}`; hint: give one another `name`"));
        }
    }
    rules
}

/// Times from the opening of an incident, each later than the one before; none for a reminder once a day alone.
fn reminders(section: &Section<'_>) -> Option<Vec<Duration>> {
    let texts = section.texts("remind_after");
    if !section.has("remind_after") {
        return None;
    }
    let mut times = Vec::new();
    for text in &texts {
        match units::duration(text).filter(|time| (MINUTE..=LONG).contains(time)) {
            Some(time) if times.last().is_none_or(|last| *last < time) => times.push(time),
            Some(_) => {
                section.problem("remind_after", &format!("has `{text}`, which is not later than the one before"))
            }
            None => section.problem(
                "remind_after",
                &format!("has `{text}`, allowed are durations from \"1m\" to \"366d\", such as \"4h\""),
            ),
        }
    }
    Some(times)
}

fn direction(section: &Section<'_>) -> Option<Direction> {
    let sides = [("both", None), ("high", Some(Direction::High)), ("low", Some(Direction::Low))];
    section.choice("direction", None, &sides)
}

fn silence(section: &Section<'_>, detect: Option<&Detect>, dimensions: &[String], intervals: Zone) -> Option<Silence> {
    let name = section.required_text("name", "\"stock taking\"");
    let matcher = SilenceMatcher {
        measures: section.texts("measures"),
        dimensions: only(section, dimensions),
        direction: direction(section),
    };
    let known: Vec<&str> =
        detect.map(|detect| detect.measures.iter().map(|measure| &*measure.name).collect()).unwrap_or_default();
    for measure in matcher.measures.iter().filter(|measure| detect.is_some() && !known.contains(&measure.as_str())) {
        let near = nearest(measure, known.iter().copied());
        let hint =
            near.map_or_else(|| format!("there are {}", known.join(", ")), |near| format!("did you mean `{near}`?"));
        section.problem("measures", &format!("names `{measure}`, which is not a measure; hint: {hint}"));
    }
    timed(section, name, intervals).map(|calendar| Silence { matcher, calendar })
}

/// Stretches of every day, or of every week.
fn quiet_hours(section: &Section<'_>, intervals: Zone) -> Option<QuietHours> {
    let severity_threshold = section.number("severity_threshold", QUIET_SEVERITY, 0.0..=100.0);
    if !section.is_present() {
        return None;
    }
    if !section.has("daily") {
        let name = Some("quiet hours".to_owned());
        return timed(section, name, intervals).map(|calendar| QuietHours { calendar, severity_threshold });
    }
    let at = if section.has("timezone") { zone(section, "timezone") } else { Some(intervals) };
    let weekly: Vec<Weekly> = section.texts("daily").iter().flat_map(|text| daily(section, text)).collect();
    section.finish();
    let calendar = Calendar::weekly("quiet hours", weekly, at?, Stretch::ALWAYS).ok()?;
    Some(QuietHours { calendar, severity_threshold })
}

/// A stretch of every day, such as `22:00-06:30`.
fn daily(section: &Section<'_>, text: &str) -> Vec<Weekly> {
    let minute = |text: &str| {
        let (hour, minute) = text.trim().split_once(':')?;
        let number =
            |digits: &str| digits.parse::<u32>().ok().filter(|_| digits.len() == 2 && !digits.starts_with('+'));
        let (hour, minute) = (number(hour)?, number(minute)?);
        (hour < 24 && minute < 60).then_some(hour * 60 + minute)
    };
    let ends = text.split_once('-').and_then(|(begin, end)| Some((minute(begin)?, minute(end)?)));
    let Some((begin, end)) = ends.filter(|(begin, end)| begin != end) else {
        section.problem("daily", &format!("has `{text}`, allowed are two times of a day, such as \"22:00-06:30\""));
        return Vec::new();
    };
    let week = 7 * DAY_MINUTES;
    let end = if end < begin { end + DAY_MINUTES } else { end };
    let days = (0..7).map(|day| (day * DAY_MINUTES + begin, (day * DAY_MINUTES + end) % week));
    days.filter_map(|(begin, end)| Weekly::new(begin, end).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;
    use crate::model::{Interval, Length};

    fn resolved(incident: &str) -> Result<Rules, String> {
        let text = format!(
            "[source.stdin]\n[select]\ntimestamp = 'at'\ndimensions = ['shop']\nmeasures = ['views']\n\
             [partition]\nurl = 'out'\n{incident}\n"
        );
        parse(&text, &|_| None).map(|config| config.incident).map_err(|problems| problems.to_string())
    }

    #[test]
    fn nothing_must_be_said_and_thresholds_are_those_of_alerts() {
        assert_eq!(resolved("").unwrap(), Rules::default());
        let rules = resolved("[[alert]]\nseverity_threshold = 60\n[[alert]]\nseverity_threshold = 90").unwrap();
        assert_eq!((rules.severity_threshold, rules.severity_steps), (60.0, vec![60.0, 90.0]));
    }

    #[test]
    fn every_key_is_read() {
        let rules = resolved(
            "[incident]\nopen_at_once = 90\nopen_intervals = 3\nopen_window = 5\nclose_intervals = 4\n\
             reopen_within = '2h'\nflapping_after = 4\nhold_max = '8h'\nlevel_shift_after = '12h'\n\
             expire_after = '72h'\nremind_after = ['1h', '6h']\nupdate_spacing = '30m'\nnotices_per_hour = 5\n\
             tell_resolved = false\ntell_level_shift = true\ndirection = 'low'\nmin_volume = 12.5\nrollups = true\n\
             [incident.quiet_hours]\ndaily = '22:00-06:00'\nseverity_threshold = 95\n\
             [[incident.silence]]\nname = 'move'\nmeasures = ['views']\ndimensions = { shop = ['a'] }\n\
             direction = 'low'\nfrom = '2026-11-20 22:00'\nto = '2026-11-21 04:30'",
        )
        .unwrap();
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        assert_eq!(
            (rules.open_at_once, rules.open_intervals, rules.open_window, rules.close_intervals),
            (90.0, 3, 5, 4)
        );
        assert_eq!((rules.reopen_within, rules.flapping_after, rules.hold_max), (hours(2), 4, hours(8)));
        assert_eq!((rules.level_shift_after, rules.expire_after), (hours(12), hours(72)));
        assert_eq!(rules.remind_after, [hours(1), hours(6)]);
        assert_eq!((rules.update_spacing, rules.notices_per_hour), (30 * MINUTE, 5));
        assert_eq!((rules.tell_resolved, rules.direction, rules.min_volume), (false, Some(Direction::Low), 12.5));
        assert!(rules.rollups);
        let quiet = rules.quiet_hours.unwrap();
        assert_eq!(quiet.severity_threshold, 95.0);
        let at = |hour: i64| Interval::containing(hour * 3_600_000_000, Length::from_seconds(300).unwrap());
        let is_quiet = |hour: i64| quiet.calendar.is_at(at(hour), Zone::UTC);
        assert_eq!([21, 22, 24, 29, 30].map(is_quiet), [false, true, true, true, false]);
        let [silence] = &rules.silences[..] else { panic!("one") };
        assert_eq!(silence.calendar.name(), "move");
        assert_eq!(silence.matcher.dimensions, [("shop".to_owned(), vec!["a".to_owned()])]);
        assert_eq!((silence.matcher.measures.len(), silence.matcher.direction), (1, Some(Direction::Low)));
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let told = resolved(
            "[incident]\nopen_at_once = 101\nopen_intervals = 5\nremind_after = ['4h', '2h', 'soon']\ncolour = 'red'\n\
             [incident.quiet_hours]\ndaily = '22-6'\n[[incident.silence]]\nmeasures = ['vievs']\n\
             dimensions = { shup = ['a'] }",
        )
        .unwrap_err();
        for part in [
            "incident.open_at_once",
            "is more than `open_window`, 3 intervals",
            "`2h`, which is not later",
            "`soon`, allowed are durations",
            "incident.colour",
            "`22-6`, allowed are two times of a day",
            "incident.silence[0].name",
            "names `vievs`, which is not a measure; hint: did you mean `views`?",
            "names `shup`",
            "has no time; hint: give it `dates`",
        ] {
            assert!(told.contains(part), "`{part}` is not in:\n{told}");
        }
    }
}
