//! Scoring of records: `[detect] input = "records"`, `preset` and `[detect.records]`.
//!
//! A preset is what a service that people come from did where nothing was said; every key that is given goes before it.
//!
//! | | kinesis-analytics | opensearch | lookout | no preset |
//! |---|---|---|---|---|
//! | forest per key | no | yes | yes | yes |
//! | trees | 100 | 50 | 50 | 50 |
//! | sample | 256 | 256 | 256 | 256 |
//! | time decay | 100,000 | 2560 | 2560 | 2560 |
//! | shingle | 1 | 8 | 1 | 1 |
//! | scale | none | normalize | normalize | normalize |
//! | scored 0 at first | 256 records | 32 + shingle | 300 | 64 |
//!
//! The first is `RANDOM_CUT_FOREST` with its defaults, the second OpenSearch Anomaly Detection. Amazon Lookout for Metrics
//! never scored records and never told of its model: of it the preset takes that there is a model per combination of
//! dimension values and that about 300 points pass before it speaks; the rest is what holds without a preset.
//!
//! Where intervals are judged a preset sets trees, sample, shingle and time decay of the forests of series alike: 100, 256, 1
//! and 100,000; 50, 256, 8 and 2560; or ours. What else the detector of series weighs, and when it speaks, stays.

use std::num::NonZeroUsize;
use std::ops::RangeInclusive;

use super::raw::Section;
use super::units::usize_of;
use crate::detect::ForestShape;
use crate::detect::records::{
    COLUMNS_MAX, Choice, SAMPLE, SHINGLE, Scaling, Settings, SettingsError, Shape, TIME_DECAY, TREES,
};
use crate::model::{RECORD_NAMES, nearest};

/// Scores are told from here on where nothing is said: about twice that of a typical record.
const SCORE_THRESHOLD: f64 = 2.0;
const SCORE_MAX: f64 = 1000.0;
const READY_AFTER: RangeInclusive<u64> = 1..=1_000_000;

/// Scoring of records.
#[derive(Clone, Debug, PartialEq)]
pub struct Records {
    /// The columns that are scored together.
    pub columns: Vec<String>,
    /// The numbers of a forest.
    pub shape: Shape,
    /// What is done about columns of different size.
    pub scaling: Scaling,
    /// Whether each combination of dimension values has a forest.
    pub per_key: bool,
    /// Whether the shares of the columns are told.
    pub attribution: bool,
    /// Which scored records are told.
    pub choice: Choice,
    /// Which are written.
    pub output: RecordsOutput,
}

/// Which scored records are written to the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordsOutput {
    /// Those that are told.
    Anomalies,
    /// All of them.
    All,
}

/// What is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// Aggregates of series.
    Intervals,
    /// Each record.
    Records,
}

/// Whose defaults hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Preset {
    /// Ours.
    None,
    /// Those of `RANDOM_CUT_FOREST` in Kinesis Data Analytics for SQL.
    KinesisAnalytics,
    /// Those of OpenSearch Anomaly Detection.
    OpenSearch,
    /// What is known of Amazon Lookout for Metrics.
    Lookout,
}

impl Preset {
    fn shape(self) -> Shape {
        let ours = Shape { trees: 50, sample: 256, shingle: 1, time_decay: 2560, ready_after: 64 };
        match self {
            Preset::None => ours,
            Preset::KinesisAnalytics => Shape { trees: 100, time_decay: 100_000, ready_after: 256, ..ours },
            Preset::OpenSearch => Shape { shingle: 8, ready_after: 32 + 8, ..ours },
            Preset::Lookout => Shape { ready_after: 300, ..ours },
        }
    }

    /// The forests of series. Of Amazon Lookout for Metrics nothing is known: ours hold.
    pub(super) fn forest(self) -> ForestShape {
        let ours = ForestShape::default();
        match self {
            Preset::None | Preset::Lookout => ours,
            Preset::KinesisAnalytics => ForestShape { trees: 100, shingle: 1, time_decay: 100_000, ..ours },
            Preset::OpenSearch => ForestShape { trees: 50, shingle: 8, ..ours },
        }
    }

    fn scaling(self) -> Scaling {
        if self == Preset::KinesisAnalytics { Scaling::None } else { Scaling::Normalize }
    }
}

pub(super) fn input(section: &Section<'_>) -> Input {
    section.choice("input", Input::Intervals, &[("intervals", Input::Intervals), ("records", Input::Records)])
}

pub(super) fn preset(section: &Section<'_>) -> Preset {
    let presets = [
        ("kinesis-analytics", Preset::KinesisAnalytics),
        ("opensearch", Preset::OpenSearch),
        ("lookout", Preset::Lookout),
    ];
    section.choice("preset", Preset::None, &presets)
}

/// How records are scored; none where intervals are judged.
pub(super) fn records(
    detect: &Section<'_>,
    (input, preset): (Input, Preset),
    names: (&[String], &[String]),
) -> Option<Records> {
    let section = detect.section("records");
    let records = read(&section, preset, names);
    section.finish();
    if input == Input::Records {
        return records;
    }
    if section.is_present() {
        section.section_problem("is for `detect.input = \"records\"`; hint: set it, or remove this section");
    }
    None
}

/// Notes what of `[detect]` is for intervals alone.
pub(super) fn alone(detect: &Section<'_>) {
    for key in ["sensitivity", "trees", "sample", "shingle", "time_decay", "measure", "calendar"]
        .into_iter()
        .filter(|key| detect.has(key))
    {
        let hint = match key {
            "trees" | "sample" | "shingle" | "time_decay" => format!("set `detect.records.{key}`"),
            "sensitivity" => "set `detect.records.score_threshold`".to_owned(),
            "measure" => "name the columns in `detect.records.columns`".to_owned(),
            _ => "remove it".to_owned(),
        };
        detect.problem(key, &format!("is for `input = \"intervals\"`; hint: {hint}"));
    }
}

fn read(section: &Section<'_>, preset: Preset, (measures, others): (&[String], &[String])) -> Option<Records> {
    let usual = preset.shape();
    let columns = section.texts("columns");
    let columns = if section.has("columns") { columns } else { measures.to_vec() };
    let shape = Shape {
        trees: section.integer("trees", usual.trees, TREES),
        sample: section.integer("sample", usual.sample, SAMPLE),
        shingle: section.integer("shingle", usual.shingle, SHINGLE),
        time_decay: section.integer("time_decay", usual.time_decay, TIME_DECAY),
        ready_after: section.integer("ready_after", usual.ready_after, READY_AFTER),
    };
    let scaling = section.choice("scale", preset.scaling(), &Scaling::NAMES);
    let per_key = section.flag("per_key", preset != Preset::KinesisAnalytics);
    let attribution = section.flag("attribution", true);
    let score_threshold = section.number("score_threshold", SCORE_THRESHOLD, 0.0..=SCORE_MAX);
    let top = section.has("top_per_second").then(|| section.integer("top_per_second", 1, 1..=1_000_000));
    let top_per_second = top.and_then(|top| NonZeroUsize::new(usize_of(top)));
    let output = [("anomalies", RecordsOutput::Anomalies), ("all", RecordsOutput::All)];
    let output = section.choice("output", RecordsOutput::Anomalies, &output);

    let mut is_good = true;
    for (at, column) in columns.iter().enumerate() {
        if columns[..at].contains(column) {
            section.problem("columns", &format!("names `{column}` twice"));
            is_good = false;
        } else if !measures.contains(column) {
            let near = nearest(column, measures.iter().map(String::as_str));
            let hint =
                near.map_or_else(|| "add it to `select.measures`".into(), |near| format!("did you mean `{near}`?"));
            section
                .problem("columns", &format!("names `{column}`, which is not among `select.measures`; hint: {hint}"));
            is_good = false;
        }
    }
    if let Some(name) = measures.iter().chain(others).find(|name| RECORD_NAMES.contains(&name.as_str())) {
        section
            .section_problem(&format!("writes a column `{name}` of its own, and `select` names one; hint: rename it"));
        is_good = false;
    }
    let numbered = columns.iter().cloned().zip(0..).collect();
    match Settings::new(numbered, shape, 0) {
        Ok(_) => {}
        // that there are no measures is told of `select`
        Err(SettingsError::Columns(0)) if !section.has("columns") => is_good = false,
        Err(SettingsError::Columns(count)) => {
            section.problem("columns", &format!("has {count} columns, allowed are 1 to {COLUMNS_MAX}"));
            is_good = false;
        }
        Err(error) => {
            section.section_problem(&format!("is not possible: {error}"));
            is_good = false;
        }
    }
    let choice = Choice { score_threshold, top_per_second };
    is_good.then_some(Records { columns, shape, scaling, per_key, attribution, choice, output })
}
