//! Made-up records: `[source.generator]`, of which a kind reads the keys that are its own.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};

use super::raw::Section;
use super::source::Source;
use super::units::{DAY, SECOND, u32_of, usize_of};
use crate::source::generator::kinds::{self, KindName, SimpleParameters, Template};
use crate::source::generator::{Data, Extent, Parameters, SeriesSet, Settings};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Ecommerce,
    StockTrades,
    Clickstream,
    IotSensor,
    Template,
}

const KINDS: [(&str, Kind); 5] = [
    ("ecommerce", Kind::Ecommerce),
    ("stock-trades", Kind::StockTrades),
    ("clickstream", Kind::Clickstream),
    ("iot-sensor", Kind::IotSensor),
    ("template", Kind::Template),
];
/// Keys of some kinds alone.
const OF_ECOMMERCE: [&str; 3] = ["days", "cadence", "series"];
const OF_OTHERS: [&str; 2] = ["duration", "rate"];

pub(super) fn generator(section: &Section<'_>) -> Option<Source> {
    let kind = section.choice("kind", Kind::Ecommerce, &KINDS);
    let seed = section.integer("seed", 1, 0..=u64::MAX);
    let days = section.integer("days", 7, 1..=36_500);
    let cadence = section.duration("cadence", 300 * SECOND, 60 * SECOND..=DAY);
    let series = section.integer("series", 21, 1..=10_000_000);
    let duration = section.duration("duration", 3600 * SECOND, SECOND..=36_500 * DAY);
    let rate = section.number("rate", 10.0, 0.001..=1e6);
    let has_probability = section.has("anomaly_probability");
    let probability = section.number("anomaly_probability", 0.0005, 0.0..=1.0);
    let template = section.text("template");
    let speed = section.has("speed").then(|| section.number("speed", 1.0, 0.001..=1e9));
    section.finish();

    let is_ecommerce = kind == Kind::Ecommerce;
    let name = KINDS.iter().find(|(_, known)| *known == kind).map_or("", |(name, _)| name);
    let foreign = if is_ecommerce { &OF_OTHERS[..] } else { &OF_ECOMMERCE[..] };
    for key in foreign.iter().copied().filter(|key| section.has(key)) {
        let hint = if is_ecommerce { "use `days`, `cadence` and `series`" } else { "use `duration` and `rate`" };
        section.problem(key, &format!("is not for `kind = \"{name}\"`; hint: {hint}"));
    }
    if kind != Kind::Template && template.is_some() {
        section.problem("template", "is for `kind = \"template\"` alone");
    }
    if kind == Kind::Template && has_probability {
        section.problem("anomaly_probability", "is not for `kind = \"template\"`, which plants nothing");
    }
    let simple = |kind| SimpleParameters {
        kind,
        seed,
        start: start(),
        seconds: duration.as_secs(),
        rate,
        anomaly_probability: has_probability.then_some(probability),
    };
    let data = match kind {
        Kind::Ecommerce => {
            let parameters = Parameters {
                seed,
                extent: Extent::Days(u32_of(days)),
                cadence_seconds: cadence.as_secs(),
                series: SeriesSet::Count(usize_of(series)),
                anomaly_probability: probability,
                ..Parameters::default()
            };
            told(section, Settings::new(parameters))?.into()
        }
        Kind::StockTrades => checked(section, simple(KindName::StockTrades))?,
        Kind::Clickstream => checked(section, simple(KindName::Clickstream))?,
        Kind::IotSensor => checked(section, simple(KindName::IotSensor))?,
        Kind::Template => {
            let Some(text) = template else {
                section.missing("template", "'{\"at\":\"{{date.utc}}\",\"value\":{{random.number(9)}}}'");
                return None;
            };
            let parsed = Template::parse(&text).map_err(|error| section.problem("template", &error.to_string()));
            checked(section, simple(KindName::Template(parsed.ok()?)))?
        }
    };
    Some(Source::Generator { settings: Box::new(data), speed })
}

fn checked(section: &Section<'_>, parameters: SimpleParameters) -> Option<Data> {
    told(section, kinds::Settings::new(parameters)).map(Data::from)
}

fn told<T, E: ToString>(section: &Section<'_>, settings: Result<T, Vec<E>>) -> Option<T> {
    settings.map_err(|problems| problems.iter().for_each(|one| section.section_problem(&one.to_string()))).ok()
}

/// A Monday, as ecommerce records begin.
fn start() -> NaiveDateTime {
    NaiveDate::from_ymd_opt(2024, 3, 4).unwrap_or_default().and_time(NaiveTime::MIN)
}
