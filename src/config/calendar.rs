//! Known calendars: `[[detect.calendar]]`, each with days, with a stretch of time, or with stretches of every week.

use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, NaiveTime};

use super::raw::Section;
use super::resolve::zone;
use crate::detect::{Calendar, CalendarError, Stretch, Weekly};
use crate::model::{Timestamp, TimestampError, Zone, nearest};

const TIMES: [&str; 4] = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"];
const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const WEEK_MINUTES: u32 = 7 * 24 * 60;

/// What a calendar does with its intervals.
#[derive(Clone, Copy)]
enum Effect {
    /// They are neither judged nor taught.
    Ignore,
}

/// The calendars of a detector of series with these dimensions, whose intervals are of this zone.
pub(super) fn calendars(detect: &Section<'_>, dimensions: &[String], intervals: Zone) -> Vec<Calendar> {
    let sections = detect.sections("calendar");
    let all: Vec<Calendar> = sections.iter().filter_map(|section| calendar(section, dimensions, intervals)).collect();
    for (index, calendar) in all.iter().enumerate() {
        if all[..index].iter().any(|earlier| earlier.name() == calendar.name()) {
            let name = calendar.name();
            detect.section_problem(&format!("has two calendars named `{name}`; hint: give one another `name`"));
        }
    }
    all
}

fn calendar(section: &Section<'_>, dimensions: &[String], intervals: Zone) -> Option<Calendar> {
    let name = section.required_text("name", "\"holidays\"");
    let Effect::Ignore = section.choice("effect", Effect::Ignore, &[("ignore", Effect::Ignore)]);
    let only = only(section, dimensions);
    timed(section, name, intervals).map(|calendar| calendar.only(only))
}

/// When a section holds: its `dates`, its stretch `from` and `to`, or its `weekly` ones. It is finished here: keys of
/// other kinds are read before.
pub(super) fn timed(section: &Section<'_>, name: Option<String>, intervals: Zone) -> Option<Calendar> {
    let zone = if section.has("timezone") { zone(section, "timezone") } else { Some(intervals) };
    // a zone that is wrong has been told; the times can be checked all the same
    let at = zone.unwrap_or(Zone::UTC);
    let days: Vec<Stretch> = section.moments("dates").iter().filter_map(|text| day(section, text, at)).collect();
    let [from, to] = ["from", "to"].map(|key| moment(section, key, at));
    let weekly: Vec<Weekly> = section.texts("weekly").iter().filter_map(|text| weekly(section, text)).collect();
    let is_weekly = section.has("weekly");
    let has_times = section.has("dates") || section.has("from") || section.has("to") || is_weekly;
    section.finish();

    if !has_times {
        section.section_problem(&CalendarError::Never.to_string());
    }
    for key in ["dates", "from", "to", "weekly", "dimensions"].into_iter().filter(|key| section.is_empty(key)) {
        section.problem(key, "is empty; hint: fill it, or leave it out");
    }
    if is_weekly && section.has("dates") {
        section.problem("weekly", "stands beside `dates`; hint: make two calendars of them");
    }
    let window = window(section, from, to, is_weekly);
    let calendar = if is_weekly {
        Calendar::weekly(&name?, weekly, at, window.unwrap_or(Stretch::ALWAYS))
    } else {
        Calendar::new(&name?, days.into_iter().chain(window).collect())
    };
    // why there is none has been told
    zone.and(calendar.ok())
}

/// The stretch between `from` and `to`, either of which may be left out where it limits weekly ones.
fn window(section: &Section<'_>, from: Option<Timestamp>, to: Option<Timestamp>, is_weekly: bool) -> Option<Stretch> {
    let [has_from, has_to] = ["from", "to"].map(|key| section.has(key));
    if !is_weekly && has_from != has_to {
        let key = if has_from { "to" } else { "from" };
        section.missing(key, "\"2026-12-24 18:00\"");
        return None;
    }
    if (has_from && from.is_none()) || (has_to && to.is_none()) || !(has_from || has_to) {
        return None;
    }
    let stretch = Stretch::new(from.unwrap_or(Timestamp::MIN), to.unwrap_or(Timestamp::MAX));
    stretch.map_err(|error| section.problem("to", &format!("{error}; hint: swap them, or choose a later end"))).ok()
}

/// A local day.
fn day(section: &Section<'_>, text: &str, zone: Zone) -> Option<Stretch> {
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|_| text.len() == 10);
    let stretch = date.and_then(|date| {
        let next = date.checked_add_days(Days::new(1))?.and_time(NaiveTime::MIN);
        let from = zone.to_instant(date.and_time(NaiveTime::MIN)).ok()?;
        Stretch::new(from, zone.end_instant(next.and_utc().timestamp_micros())).ok()
    });
    if stretch.is_none() {
        section.problem("dates", &format!("has `{text}`, which is no date; hint: for example \"2026-12-25\""));
    }
    stretch
}

/// An instant, or a local time in the zone.
fn moment(section: &Section<'_>, key: &'static str, zone: Zone) -> Option<Timestamp> {
    let texts = section.moments(key);
    let text = texts.first()?;
    let instant = DateTime::parse_from_rfc3339(text).ok();
    let instant = instant.map(|instant| Timestamp::from_micros(instant.timestamp_micros()));
    let local = || TIMES.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    let read: Option<Result<Timestamp, TimestampError>> = instant.or_else(|| local().map(|time| zone.to_instant(time)));
    let read = read.and_then(Result::ok).filter(|_| texts.len() == 1);
    if read.is_none() {
        let shown = texts.join(", ");
        let hint = "for example \"2026-12-24 18:00\", local, or \"2026-12-24T18:00:00Z\"; whole days are `dates`";
        section.problem(key, &format!("is `{shown}`, which is no time; hint: {hint}"));
    }
    read
}

/// A stretch of the week, such as `sat 22:00-sun 04:00`.
fn weekly(section: &Section<'_>, text: &str) -> Option<Weekly> {
    let Some((begin, end)) = text.split_once('-').and_then(|(a, b)| Some((minute(a)?, minute(b)?))) else {
        let allowed = "weekdays (mon to sun) with times, such as \"sat 22:00-sun 04:00\"";
        section.problem("weekly", &format!("has `{text}`, allowed are two {allowed}"));
        return None;
    };
    Weekly::new(begin, end).map_err(|error| section.problem("weekly", &format!("has `{text}`, which {error}"))).ok()
}

/// Minutes since Monday 00:00.
fn minute(text: &str) -> Option<u32> {
    let (weekday, time) = text.trim().split_once(' ')?;
    let day = WEEKDAYS.iter().position(|name| name.eq_ignore_ascii_case(weekday))?;
    let (hour, minute) = time.trim().split_once(':')?;
    let number = |digits: &str| digits.parse::<u32>().ok().filter(|_| digits.len() == 2 && !digits.starts_with('+'));
    let (hour, minute) = (number(hour)?, number(minute)?);
    let is_time = minute < 60 && (hour < 24 || (hour, minute) == (24, 0));
    let minutes = u32::try_from(day).ok()? * 24 * 60 + hour * 60 + minute;
    is_time.then_some(minutes % WEEK_MINUTES)
}

/// Whose series it is about.
pub(super) fn only(section: &Section<'_>, dimensions: &[String]) -> Vec<(String, Vec<String>)> {
    let only = section.section("dimensions").entries();
    for (name, values) in &only {
        if !dimensions.contains(name) {
            let near = nearest(name, dimensions.iter().map(String::as_str));
            let hint =
                near.map_or_else(|| "add it to `select.dimensions`".into(), |near| format!("did you mean `{near}`?"));
            section.problem(
                "dimensions",
                &format!("names `{name}`, which is not among `select.dimensions`; hint: {hint}"),
            );
        } else if values.is_empty() {
            section.problem("dimensions", &format!("has `{name}` with no value, which would ignore nothing"));
        }
    }
    only
}
