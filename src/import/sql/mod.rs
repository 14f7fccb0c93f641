//! A Kinesis Analytics SQL application: the forest that it runs, the columns that go in, the filters and windows between
//! the source and the forest, the threshold behind it.
//!
//! A forest over records as they come becomes `[detect.records]`; one over counts, sums or means of a window becomes
//! measures of intervals of that length. Which stream the source is, and how its records map to columns, is in the
//! application's input configuration and not in its SQL: both are left to be set.

mod flow;
mod parse;
mod syntax;
mod token;

use self::flow::{Flow, Origin, World, plain, show, trace};
use self::syntax::{Expr, From, Select, Statement};
use self::token::{Kind, Token};
use super::draft::{Draft, shown};
use crate::model::Length;

const FOREST: &str = "RANDOM_CUT_FOREST";
const FOREST_EXPLAINED: &str = "RANDOM_CUT_FOREST_WITH_EXPLANATION";
/// Columns that a forest adds, and the time that every row has.
const ADDED: [&str; 3] = ["ANOMALY_SCORE", "ANOMALY_EXPLANATION", "ROWTIME"];
const NUMERIC: [&str; 10] =
    ["DOUBLE", "INTEGER", "INT", "FLOAT", "TINYINT", "SMALLINT", "REAL", "BIGINT", "DECIMAL", "NUMERIC"];
const INTEGERS: [&str; 5] = ["INTEGER", "INT", "TINYINT", "SMALLINT", "BIGINT"];
/// The forest's numbers in the order of its arguments: name there, key here, default there.
const ARGUMENTS: [(&str, &str, u64); 4] = [
    ("numberOfTrees", "trees", 100),
    ("subSampleSize", "sample", 256),
    ("timeDecay", "time_decay", 100_000),
    ("shingleSize", "shingle", 1),
];

/// Intervals that a window reaches over at most; of different values, whose sketches are large.
const WIDTH_MAX: u64 = 360;
const SKETCH_WIDTH_MAX: u64 = 60;

/// Whether a text looks like SQL.
pub(super) fn is_sql(text: &str) -> bool {
    let upper = text.to_ascii_uppercase();
    ["SELECT", "FROM"].iter().all(|word| upper.contains(word)) || upper.contains("CREATE OR REPLACE")
}

/// Writes what the statements say.
///
/// # Errors
/// With the first reason, where no statement can be translated.
pub(super) fn translate(draft: &mut Draft, text: &str) -> Result<(), String> {
    let world = world(draft, text)?;
    let forests: Vec<(&String, &Select, Forest<'_>)> = world
        .pumps
        .iter()
        .flat_map(|(target, _, select)| forests(select).map(move |forest| (target, select, forest)))
        .collect();
    for (_, _, other) in forests.iter().skip(1) {
        draft.left(
            &format!("a second {}", other.name),
            "one configuration has one detector: import its statements alone",
        );
    }
    let (flow, forest) = match forests.first() {
        Some((target, select, forest)) => {
            let flow = trace(&world, forest.cursor, &[], draft)?;
            let threshold = threshold(&world, target, select, draft);
            (flow, Some((forest, threshold, (*target).clone())))
        }
        None => (last_window(&world, draft)?, None),
    };
    source(draft, &flow);
    match flow.window {
        Some(seconds) => {
            windows(draft, &flow, seconds, forest.as_ref().map(|(forest, threshold, _)| (*forest, *threshold)))?
        }
        None => match &forest {
            Some((forest, threshold, target)) => records(draft, &world, &flow, (forest, *threshold, target)),
            None => return Err("it has neither a forest nor a window".to_owned()),
        },
    }
    Ok(())
}

/// Streams and pumps; statements that are neither are noted.
fn world(draft: &mut Draft, text: &str) -> Result<World, String> {
    let tokens = token::tokens(text)?;
    let (mut world, mut first) = (World::default(), None);
    for tokens in tokens.split(|token| token.kind == Kind::Symbol(";")) {
        match parse::statement(tokens) {
            Ok(None) => {}
            Ok(Some(Statement::Stream { name, columns })) => drop(world.streams.insert(name, columns)),
            Ok(Some(Statement::Pump { target, columns, select })) => world.pumps.push((target, columns, select)),
            Err(reason) => {
                draft.left(&format!("statement `{}`", beginning(tokens)), &reason);
                first = first.or(Some(reason));
            }
        }
    }
    if world.pumps.is_empty() { Err(first.unwrap_or_else(|| "it has no pump".to_owned())) } else { Ok(world) }
}

fn beginning(tokens: &[Token]) -> String {
    let words: Vec<String> = tokens.iter().take(8).map(|token| token.kind.shown()).collect();
    shown(&words.join(" "))
}

struct Forest<'a> {
    name: &'a str,
    cursor: &'a Select,
    arguments: &'a [Expr],
}

fn forests(select: &Select) -> impl Iterator<Item = Forest<'_>> {
    select.from.iter().filter_map(|from| match from {
        From::Function { name, cursor, arguments } if name == FOREST || name == FOREST_EXPLAINED => {
            Some(Forest { name, cursor, arguments })
        }
        _ => None,
    })
}

/// The window that is furthest behind the source.
fn last_window(world: &World, draft: &mut Draft) -> Result<Flow, String> {
    let mut reason = "it has neither a forest nor a window".to_owned();
    for (target, columns, select) in world.pumps.iter().rev() {
        if let Some(From::Function { name, .. }) = select.from.iter().find(|from| matches!(from, From::Function { .. }))
        {
            draft.left(name, "only random cut forests are translated");
            continue;
        }
        match trace(world, select, &world.names(target, columns, select), draft) {
            Ok(flow) if flow.window.is_some() => return Ok(flow),
            Ok(_) => {}
            Err(error) => reason = error,
        }
    }
    Err(reason)
}

/// The least score that comes out at the end: of the forest's pump, and of those that read what it fills. Where these differ,
/// the lowest of them holds, so that nothing is lost that one of them kept.
fn threshold(world: &World, target: &str, select: &Select, draft: &mut Draft) -> Option<f64> {
    let reads =
        |select: &Select| select.from.iter().any(|from| matches!(from, From::Stream { name } if name == target));
    let behind = world.pumps.iter().filter(|(_, _, select)| reads(select));
    let of_pump = least_score(select, draft);
    let of_those: Vec<(&String, Option<f64>)> =
        behind.map(|(into, _, select)| (into, least_score(select, draft))).collect();
    // none lets all pass
    let scores = of_those.iter().map(|(_, score)| *score);
    let lowest = scores.reduce(|a, b| a.zip(b).map(|(a, b)| a.min(b))).flatten();
    for (into, score) in of_those.iter().filter(|(_, score)| *score != lowest) {
        let score = score.unwrap_or(0.0);
        draft.left(
            &format!("WHERE ANOMALY_SCORE above {score} of the pump into {into}"),
            &format!("the lowest of all pumps holds; give its `[[deliver]]` `score_threshold = {score:?}`"),
        );
    }
    [of_pump, lowest].into_iter().flatten().reduce(f64::max)
}

/// The least score that a pump lets pass; what else it asks for is named.
fn least_score(select: &Select, draft: &mut Draft) -> Option<f64> {
    let mut least: Option<f64> = None;
    for filter in &select.filters {
        match score_above(filter) {
            Some(score) => least = Some(least.map_or(score, |least| least.max(score))),
            None => {
                draft.left(&format!("WHERE {}", show(filter)), "behind the forest only a least ANOMALY_SCORE is kept")
            }
        }
    }
    for by in &select.order {
        let is_known = matches!(plain(by), Expr::Window(_) | Expr::Time)
            || matches!(plain(by), Expr::Column(name) if ADDED.contains(&name.as_str()));
        if !is_known {
            draft.left(&format!("ORDER BY {}", show(by)), "scored records come by second, and within it by score");
        }
    }
    least
}

/// `ANOMALY_SCORE > 2`
fn score_above(filter: &Expr) -> Option<f64> {
    let Expr::Binary { op, left, right } = filter else { return None };
    let (column, number) = match op.as_str() {
        ">" | ">=" => (left, right),
        "<" | "<=" => (right, left),
        _ => return None,
    };
    match (plain(column), plain(number)) {
        (Expr::Column(name), Expr::Number(number)) if name == ADDED[0] => {
            number.parse().ok().filter(|score: &f64| (0.0..=1000.0).contains(score))
        }
        _ => None,
    }
}

fn source(draft: &mut Draft, flow: &Flow) {
    draft.unset("source", "which stream it is: the application's input has it, its SQL has not");
    draft.unset("select", "columns are named as in the SQL: the application's input maps the records' fields to them");
    draft.unset("select.timestamp", "the SQL goes by ROWTIME, the time of arrival; here a record carries its own time");
    draft.unset("partition.url", "where partitions are written");
    draft.section("source.kinesis").text("stream", &file_name(&flow.source), "to be set");
    draft.section("source.kinesis").text("starting_position", "LATEST", "an application starts at NOW");
    draft.section("decode").text("format", "json_lines", "to be set, where records are CSV");
    draft.section("select").text("timestamp", "event_time", "to be set");
    draft.section("partition").text("url", "out/imported", "to be set");
    for (column, values) in &flow.filters {
        if draft.section("select.filters").has(column) {
            draft.left(&format!("WHERE {column} = {}", values.join(", ")), "a column has one filter");
        } else {
            draft.section("select.filters").texts(column, values, "WHERE");
        }
    }
}

/// A forest over records.
fn records(
    draft: &mut Draft,
    world: &World,
    flow: &Flow,
    (forest, threshold, target): (&Forest<'_>, Option<f64>, &str),
) {
    let mut columns: Vec<String> = Vec::new();
    for (_, origin) in &flow.columns {
        if let Origin::Column(column) = origin
            && !columns.contains(column)
        {
            columns.push(column.clone());
        }
    }
    if flow.all {
        let there = world.streams.get(target).map(Vec::as_slice).unwrap_or_default();
        let names = there.iter().map(|(name, _)| name.clone());
        columns.extend(names.filter(|name| !ADDED.contains(&name.as_str())));
    }
    let type_of = |column: &String| {
        let declared = world.streams.values().flatten().find(|(name, _)| name == column).map(|(_, kind)| kind);
        flow.types.get(column).or(declared).map(String::as_str)
    };
    let is_numeric = |column: &&String| type_of(column).is_some_and(|kind| NUMERIC.contains(&kind));
    for column in columns.iter().filter(|column| type_of(column).is_none()) {
        draft.unset("detect.records.columns", &format!("`{column}` has no type in the SQL; if it is a number, add it"));
    }
    let (numbers, others): (Vec<String>, Vec<String>) = {
        let (numbers, others): (Vec<&String>, Vec<&String>) = columns.iter().partition(|column| is_numeric(column));
        (numbers.into_iter().cloned().collect(), others.into_iter().cloned().collect())
    };
    let from = format!("the numeric columns of the cursor of {}", forest.name);
    if numbers.is_empty() {
        draft.unset("select.measures", "no numeric column of the cursor is known");
        draft.section("select").texts("measures", &["value".to_owned()], "to be set");
    } else {
        draft.section("select").texts("measures", &numbers, &from);
    }
    for column in &numbers {
        let kind = if type_of(column).is_some_and(|kind| INTEGERS.contains(&kind)) { "integer" } else { "float" };
        draft.section("select.types").text(column, kind, "the type in the SQL");
    }
    if !others.is_empty() {
        draft.section("select").texts("keep", &others, "its other columns, which pass through");
    }
    let detect = draft.section("detect");
    detect.text("input", "records", "a score for each record");
    detect.text("preset", "kinesis-analytics", "its defaults: one forest, a score of 0 for the first sample");
    if !numbers.is_empty() {
        draft.section("detect.records").texts("columns", &numbers, &from);
    }
    let limits = [(1, 253), (2, 256), (3, 2_147_483_647), (1, 30)];
    for ((name, key, default), (low, high)) in ARGUMENTS.into_iter().zip(limits) {
        match argument(forest, name) {
            Some(Ok(number)) if (low..=high).contains(&number) => {
                draft.section("detect.records").integer(key, number, name);
            }
            Some(Ok(number)) => draft.left(&format!("{name} = {number}"), &format!("allowed is {low} to {high}")),
            Some(Err(text)) => draft.left(&format!("{name} = {text}"), "it is no number"),
            None => drop(draft.section("detect.records").integer(key, default, &format!("{name}: left out"))),
        }
    }
    let explained = forest.name == FOREST_EXPLAINED;
    draft.section("detect.records").flag("attribution", explained, forest.name);
    extra(draft, forest);
    match threshold {
        Some(threshold) => {
            draft.section("detect.records").number("score_threshold", threshold, "WHERE ANOMALY_SCORE");
        }
        None => drop(draft.section("detect.records").number("score_threshold", 0.0, "all scores go on")),
    }
}

/// A number of the forest, or what stands in its place.
fn argument(forest: &Forest<'_>, name: &str) -> Option<Result<u64, String>> {
    let at = ARGUMENTS.iter().position(|(there, _, _)| *there == name)?;
    let argument = forest.arguments.get(at)?;
    let number = if let Expr::Number(number) = plain(argument) { number.parse().ok() } else { None };
    Some(number.ok_or_else(|| show(argument)))
}

/// What is behind the four numbers.
fn extra(draft: &mut Draft, forest: &Forest<'_>) {
    for (at, argument) in forest.arguments.iter().enumerate().skip(ARGUMENTS.len()) {
        let is_direction = forest.name == FOREST_EXPLAINED && at == ARGUMENTS.len();
        if !is_direction {
            draft.left(&format!("argument {} of {}: {}", at + 1, forest.name, show(argument)), "");
        }
    }
}

/// Counts, sums and means of a window, with or without a forest over them.
fn windows(
    draft: &mut Draft,
    flow: &Flow,
    seconds: u64,
    forest: Option<(&Forest<'_>, Option<f64>)>,
) -> Result<(), String> {
    if Length::from_seconds(seconds).is_ok() {
        let is_sliding =
            |(_, origin): &(String, Origin)| matches!(origin, Origin::Measure(measure) if measure.sliding.is_some());
        let from = if flow.columns.iter().any(is_sliding) {
            "a part of the windows: a value each so often, and not for each record"
        } else {
            "the window of GROUP BY"
        };
        draft.section("interval").seconds("length", seconds, from);
    } else {
        draft.left(&format!("a window of {seconds} seconds"), "it is no length of an interval");
        draft.unset("interval.length", "5 minutes where it is left out");
    }
    let (mut dimensions, mut columns): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    let mut measures = 0;
    for (name, origin) in &flow.columns {
        match origin {
            Origin::Time => {}
            Origin::Column(column) => dimensions.extend((!dimensions.contains(column)).then(|| column.clone())),
            Origin::Measure(measure) => {
                measures += 1;
                let section = draft.one_more("detect.measure");
                section.text("name", name, "the column that it fills");
                section.text("aggregation", measure.aggregation, "the function of the select");
                if let Some(column) = &measure.column {
                    section.text("column", column, "the column that it counts");
                    // any column has different values; others are of numbers
                    if measure.aggregation != "distinct" && !columns.contains(column) {
                        columns.push(column.clone());
                    }
                }
                if !measure.filters.is_empty() {
                    section.table("where", &measure.filters, "its WHERE");
                }
                let most = if measure.aggregation == "distinct" { SKETCH_WIDTH_MAX } else { WIDTH_MAX };
                let is_length = Length::from_seconds(seconds).is_ok();
                let fits = |window: u64| is_length && window.is_multiple_of(seconds) && window / seconds <= most;
                match measure.sliding.filter(|window| *window != seconds) {
                    Some(window) if fits(window) => {
                        section.seconds("window", window, "RANGE INTERVAL ... PRECEDING");
                    }
                    Some(window) => draft.left(
                        &format!("a window of {window} seconds beside one of {seconds} seconds"),
                        &format!("one window reaches over {most} intervals at most: import it alone"),
                    ),
                    None => {}
                }
            }
            Origin::Expression(text) => {
                measures += 1;
                let text = text.strip_prefix('(').and_then(|text| text.strip_suffix(')')).unwrap_or(text);
                draft.one_more("detect.measure").text("name", name, "the column that it fills").text(
                    "expression",
                    text,
                    "the expression of the select",
                );
            }
        }
    }
    if measures == 0 {
        return Err("its window has no count, sum or mean".to_owned());
    }
    draft.section("select").texts("dimensions", &dimensions, "GROUP BY");
    if !columns.is_empty() {
        draft.section("select").texts("measures", &columns, "the columns that are counted");
    }
    for column in &columns {
        draft.section("select.types").text(column, "float", "or integer");
    }
    draft.one_more("alert").number("severity_threshold", 70.0, "our default");
    let Some((forest, threshold)) = forest else { return Ok(()) };
    for ((name, key, _), range) in ARGUMENTS.into_iter().zip([1..=1000, 10..=256, 3..=2_147_483_647, 1..=64]) {
        match argument(forest, name) {
            Some(Ok(number)) if range.contains(&number) => {
                draft.section("detect").integer(key, number, name);
            }
            Some(Ok(number)) => {
                draft.left(&format!("{name} = {number}"), &format!("allowed is {} to {}", range.start(), range.end()));
            }
            Some(Err(text)) => draft.left(&format!("{name} = {text}"), "it is no number"),
            None => {}
        }
    }
    extra(draft, forest);
    if let Some(threshold) = threshold {
        let why = "a forest's score is no severity: `[[alert]] severity_threshold` goes from 0 to 100";
        draft.left(&format!("WHERE ANOMALY_SCORE above {threshold}"), why);
    }
    Ok(())
}

/// A name that a stream can have.
fn file_name(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' })
        .take(128)
        .collect()
}
