//! Follows columns from the source through pumps to where a forest reads them: which source columns they are, which
//! filters lie between, and which of them are counts, sums or means of a window.

use std::collections::BTreeMap;

use super::WIDTH_MAX;
use super::syntax::{Expr, From, Item, Over, Range, Select};
use crate::import::draft::Draft;

/// More pumps in a row than anyone has; fewer than a circle of them.
const PUMPS_MAX: usize = 30;

/// Streams and what fills them.
#[derive(Debug, Default)]
pub(super) struct World {
    /// Columns with their types.
    pub(super) streams: BTreeMap<String, Vec<(String, String)>>,
    /// Target, its named columns, what goes in.
    pub(super) pumps: Vec<(String, Vec<String>, Select)>,
}

/// What a select gives.
#[derive(Clone, Debug, Default)]
pub(super) struct Flow {
    /// The stream that it begins with.
    pub(super) source: String,
    /// Filters on columns of the source, all of which hold.
    pub(super) filters: Vec<Filter>,
    /// Columns by name.
    pub(super) columns: Vec<(String, Origin)>,
    /// Whether all columns of the source come along.
    pub(super) all: bool,
    /// Seconds of the window, where values are of one.
    pub(super) window: Option<u64>,
    /// Columns of the source that are cast to a type.
    pub(super) types: BTreeMap<String, String>,
}

/// A column and the values it may have.
pub(super) type Filter = (String, Vec<String>);

/// What a column is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Origin {
    /// A column of the source.
    Column(String),
    Measure(Measure),
    /// An expression over measures, by their names.
    Expression(String),
    Time,
}

/// One number per window.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Measure {
    pub(super) aggregation: &'static str,
    pub(super) column: Option<String>,
    /// Seconds of its window, where that is a sliding one.
    pub(super) sliding: Option<u64>,
    /// What its records must be, besides what all must be.
    pub(super) filters: Vec<Filter>,
}

/// Follows a select back to its source; `names` are those of the stream that it fills.
pub(super) fn trace(world: &World, select: &Select, names: &[String], draft: &mut Draft) -> Result<Flow, String> {
    deeper(world, select, names, draft, 0)
}

fn deeper(world: &World, select: &Select, names: &[String], draft: &mut Draft, depth: usize) -> Result<Flow, String> {
    if depth > PUMPS_MAX {
        return Err("its pumps go round in a circle".to_owned());
    }
    let mut inputs = Vec::new();
    for from in &select.from {
        inputs.push(match from {
            From::Stream { name } => stream(world, name, draft, depth)?,
            From::Select(inner) => deeper(world, inner, &[], draft, depth + 1)?,
            From::Function { name, .. } => return Err(format!("it reads what `{name}` gives")),
        });
    }
    let mut input = joined(inputs)?;
    for filter in &select.filters {
        match terms(filter) {
            Some((column, values)) => match input.origin(&column) {
                Some(Origin::Column(column)) => input.filters.push((column, values)),
                _ => draft.left(&format!("WHERE {}", show(filter)), "it filters what was counted"),
            },
            None if is_same_time(filter) => {}
            None => draft.left(&format!("WHERE {}", show(filter)), "only columns that are one of some values"),
        }
    }
    let ranges: Vec<&Range> = select.items.iter().flat_map(|item| ranges(&item.expr)).collect();
    if !ranges.is_empty() {
        return sliding(input, select, names, &ranges, draft);
    }
    let is_aggregated = !select.group.is_empty() || select.items.iter().any(|item| has_aggregate(&item.expr));
    if is_aggregated { aggregated(input, select, names, draft) } else { projected(input, select, names) }
}

fn stream(world: &World, name: &str, draft: &mut Draft, depth: usize) -> Result<Flow, String> {
    let mut pumps = world.pumps.iter().filter(|(target, _, _)| target == name);
    match (pumps.next(), pumps.next()) {
        (None, _) => Ok(Flow { source: name.to_owned(), all: true, ..Flow::default() }),
        (Some((_, columns, select)), None) => {
            deeper(world, select, &world.names(name, columns, select), draft, depth + 1)
        }
        _ => Err(format!("several pumps fill `{name}`")),
    }
}

impl World {
    /// The names of what a pump's select gives.
    pub(super) fn names(&self, target: &str, columns: &[String], select: &Select) -> Vec<String> {
        if !columns.is_empty() {
            return columns.to_vec();
        }
        let has_star = select.items.iter().any(|item| item.expr == Expr::Star);
        let there = self.streams.get(target).filter(|there| !has_star && there.len() == select.items.len());
        there.map(|there| there.iter().map(|(name, _)| name.clone()).collect()).unwrap_or_default()
    }
}

impl Flow {
    fn origin(&self, name: &str) -> Option<Origin> {
        if name == "ROWTIME" {
            return Some(Origin::Time);
        }
        let found = self.columns.iter().find(|(there, _)| there == name).map(|(_, origin)| origin.clone());
        found.or_else(|| self.all.then(|| Origin::Column(name.to_owned())))
    }
}

impl Flow {
    /// The measures that an expression names come along with it.
    fn measures_of(&self, expression: &str, columns: &mut Vec<(String, Origin)>) {
        let words: Vec<&str> = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
        for (name, origin) in &self.columns {
            let is_new = !columns.iter().any(|(there, _)| there == name);
            if is_new && matches!(origin, Origin::Measure(_)) && words.contains(&name.as_str()) {
                columns.push((name.clone(), origin.clone()));
            }
        }
    }
}

/// Windows of one length that are put side by side by their time.
fn joined(inputs: Vec<Flow>) -> Result<Flow, String> {
    let mut inputs = inputs.into_iter();
    let mut first = inputs.next().ok_or("it reads nothing")?;
    let rest: Vec<Flow> = inputs.collect();
    if rest.is_empty() {
        return Ok(first);
    }
    if first.window.is_none() || rest.iter().any(|flow| flow.window != first.window || flow.source != first.source) {
        return Err("it joins streams that are not windows of one length over one source".to_owned());
    }
    first.filters_to_measures();
    for mut flow in rest {
        flow.filters_to_measures();
        first.columns.extend(flow.columns);
        first.types.extend(flow.types);
    }
    Ok(first)
}

impl Flow {
    fn filters_to_measures(&mut self) {
        let filters = std::mem::take(&mut self.filters);
        for (_, origin) in &mut self.columns {
            if let Origin::Measure(measure) = origin {
                measure.filters.extend(filters.iter().cloned());
            }
        }
    }
}

fn aggregated(input: Flow, select: &Select, names: &[String], draft: &mut Draft) -> Result<Flow, String> {
    if input.window.is_some() {
        return Err("it counts what was counted".to_owned());
    }
    let mut flow = Flow { columns: Vec::new(), all: false, ..input.clone() };
    for by in &select.group {
        match plain(by) {
            Expr::Window(seconds) if flow.window.is_none_or(|there| there == *seconds) => flow.window = Some(*seconds),
            Expr::Column(name) if input.origin(name) == Some(Origin::Time) => {}
            Expr::Column(_) => {}
            other => return Err(format!("GROUP BY {} is not understood", show(other))),
        }
    }
    if let Some(seconds) = select.stagger {
        stagger(&mut flow, seconds, draft);
    }
    if flow.window.is_none() {
        return Err("it has no window".to_owned());
    }
    for (at, item) in select.items.iter().enumerate() {
        let name = output_name(item, names, at);
        let origin = match plain(&item.expr) {
            Expr::Window(_) | Expr::Time => Origin::Time,
            Expr::Column(column) => input.origin(column).ok_or_else(|| format!("column `{column}` is not known"))?,
            expr @ Expr::Call { .. } => Origin::Measure(measure(&input, expr)?),
            expr => {
                let text = expression(&input, expr, &mut flow.columns)?;
                draft.about(&format!("{name} is {text}"));
                Origin::Expression(text)
            }
        };
        flow.columns.push((name, origin));
    }
    Ok(flow)
}

/// A stagger window opens with the first record of its key. Over times rounded down it is a window of event time that waits
/// for late records; else it begins anywhere, which intervals do not.
fn stagger(flow: &mut Flow, seconds: u64, draft: &mut Draft) {
    match flow.window {
        Some(_) => draft.about(&format!(
            "The stagger window was open for {seconds} seconds; here late records revise what was said: see `interval.offset`."
        )),
        None => {
            flow.window = Some(seconds);
            let why = "it opens with the first record of its key; intervals begin at whole multiples of their length";
            draft.left(&format!("WINDOWED BY STAGGER, {seconds} seconds"), why);
        }
    }
}

/// Aggregates over the time before each record: measures with a window, of intervals that are a part of it.
fn sliding(
    input: Flow,
    select: &Select,
    names: &[String],
    ranges: &[&Range],
    draft: &mut Draft,
) -> Result<Flow, String> {
    if input.window.is_some() || !select.group.is_empty() {
        return Err("it slides over what was counted".to_owned());
    }
    let keys = |range: &Range| -> Result<Vec<String>, String> {
        let column = |by: &Expr| match plain(by) {
            Expr::Column(name) => match input.origin(name) {
                Some(Origin::Column(column)) => Ok(column),
                _ => Err(format!("column `{name}` is not known")),
            },
            other => Err(format!("PARTITION BY {} is not understood", show(other))),
        };
        range.partition.iter().map(column).collect()
    };
    let first = keys(ranges.first().ok_or("it has no window")?)?;
    for range in ranges {
        if keys(range)? != first {
            return Err("its windows are partitioned by different columns".to_owned());
        }
    }
    let seconds: Vec<u64> = ranges.iter().map(|range| range.seconds).collect();
    let mut flow = Flow { columns: Vec::new(), all: false, window: Some(step(&seconds)), ..input.clone() };
    for (at, item) in select.items.iter().enumerate() {
        let name = output_name(item, names, at);
        let origin = match plain(&item.expr) {
            Expr::Time => Origin::Time,
            Expr::Column(column) => match input.origin(column) {
                Some(Origin::Column(column)) if !first.contains(&column) => {
                    draft.left(&format!("column `{column}` beside windows"), "it is each record's own");
                    continue;
                }
                origin => origin.ok_or_else(|| format!("column `{column}` is not known"))?,
            },
            over @ Expr::Over { .. } => Origin::Measure(measure(&input, over)?),
            expr => Origin::Expression(expression(&input, expr, &mut flow.columns)?),
        };
        flow.columns.push((name, origin));
    }
    let is_there = |columns: &[(String, Origin)], key: &String| {
        columns.iter().any(|(_, origin)| *origin == Origin::Column(key.clone()))
    };
    for key in first {
        if !is_there(&flow.columns, &key) {
            flow.columns.push((key.clone(), Origin::Column(key)));
        }
    }
    Ok(flow)
}

/// The length of the intervals that windows are made of: a fifth of the shortest at most, and a part of each; where there is
/// none, the longest that is a part of each and of a day; the shortest itself where there would be too many of those.
fn step(windows: &[u64]) -> u64 {
    const DAY: u64 = 86_400;
    const STEPS_MAX: u64 = 60;
    const STEPS: [u64; 13] = [3600, 1800, 900, 600, 300, 120, 60, 30, 15, 10, 5, 2, 1];
    let shortest = windows.iter().copied().min().unwrap_or(1);
    let longest = windows.iter().copied().max().unwrap_or(1);
    let is_part = |step: &u64| {
        let is_short = step * 5 <= shortest && longest / step <= STEPS_MAX;
        is_short && windows.iter().all(|window| window.is_multiple_of(*step))
    };
    let common = windows.iter().copied().fold(DAY, gcd);
    let common = Some(common).filter(|common| longest / common <= WIDTH_MAX);
    STEPS.into_iter().find(is_part).or(common).unwrap_or(shortest)
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The sliding windows in an expression.
fn ranges(expr: &Expr) -> Vec<&Range> {
    match plain(expr) {
        Expr::Over { window: Over::Range(range), .. } => vec![range],
        Expr::Binary { left, right, .. } => [ranges(left), ranges(right)].concat(),
        _ => Vec::new(),
    }
}

/// Takes the measures out of an expression over aggregates.
fn expression(input: &Flow, expr: &Expr, columns: &mut Vec<(String, Origin)>) -> Result<String, String> {
    match plain(expr) {
        Expr::Number(number) => Ok(number.clone()),
        Expr::Binary { op, left, right } if ["+", "-", "*", "/"].contains(&op.as_str()) => {
            let (left, right) = (expression(input, left, columns)?, expression(input, right, columns)?);
            Ok(format!("({left} {op} {right})"))
        }
        call @ (Expr::Call { .. } | Expr::Over { .. }) => {
            let measure = measure(input, call)?;
            let of = measure.column.as_deref().unwrap_or("records");
            let window = measure.sliding.map(|seconds| format!("_{seconds}s")).unwrap_or_default();
            let name = identifier(&format!("{}_{of}{window}", measure.aggregation));
            if !columns.iter().any(|(there, _)| *there == name) {
                columns.push((name.clone(), Origin::Measure(measure)));
            }
            Ok(name)
        }
        other => Err(format!("`{}` is not understood", show(other))),
    }
}

fn measure(input: &Flow, call: &Expr) -> Result<Measure, String> {
    let not_understood = || format!("`{}` is not understood", show(call));
    if let Expr::Over { of, window: Over::Range(range) } = call {
        return Ok(Measure { sliding: Some(range.seconds), ..measure(input, of)? });
    }
    let Expr::Call { name, distinct, arguments } = call else { return Err(not_understood()) };
    let aggregation = match (name.as_str(), distinct) {
        ("COUNT", true) => "distinct",
        ("COUNT", false) => "count",
        ("SUM", false) => "sum",
        ("AVG", false) => "avg",
        ("MIN", false) => "min",
        ("MAX", false) => "max",
        _ => return Err(not_understood()),
    };
    let column = match arguments.iter().map(plain).collect::<Vec<_>>().as_slice() {
        [Expr::Star] if aggregation == "count" => None,
        [Expr::Column(column)] => match input.origin(column) {
            Some(Origin::Column(column)) => Some(column),
            _ => return Err(not_understood()),
        },
        _ => return Err(not_understood()),
    };
    Ok(Measure { aggregation, column, sliding: None, filters: Vec::new() })
}

fn projected(input: Flow, select: &Select, names: &[String]) -> Result<Flow, String> {
    let mut flow = Flow { columns: Vec::new(), all: false, ..input.clone() };
    for (at, item) in select.items.iter().enumerate() {
        if let Expr::Cast { of, data_type } = &item.expr
            && let Expr::Column(name) = &**of
            && let Some(Origin::Column(column)) = input.origin(name)
        {
            flow.types.insert(column, data_type.clone());
        }
        let name = output_name(item, names, at);
        match plain(&item.expr) {
            Expr::Star => {
                flow.columns.extend(input.columns.iter().cloned());
                flow.all |= input.all;
            }
            Expr::Column(column) => {
                let origin = input.origin(column).ok_or_else(|| format!("column `{column}` is not known"))?;
                if let Origin::Expression(text) = &origin {
                    input.measures_of(text, &mut flow.columns);
                }
                flow.columns.push((name, origin));
            }
            expr if input.window.is_some() => {
                let text = over_measures(&input, expr, &mut flow.columns)?;
                flow.columns.push((name, Origin::Expression(text)));
            }
            other => return Err(format!("`{}` is computed for each record: compute it in a hook", show(other))),
        }
    }
    Ok(flow)
}

/// An expression over columns that are measures, which come along.
fn over_measures(input: &Flow, expr: &Expr, columns: &mut Vec<(String, Origin)>) -> Result<String, String> {
    match plain(expr) {
        Expr::Number(number) => Ok(number.clone()),
        Expr::Binary { op, left, right } if ["+", "-", "*", "/"].contains(&op.as_str()) => {
            let (left, right) = (over_measures(input, left, columns)?, over_measures(input, right, columns)?);
            Ok(format!("({left} {op} {right})"))
        }
        Expr::Column(name) => match input.origin(name) {
            Some(Origin::Measure(measure)) => {
                let name = identifier(name);
                if !columns.iter().any(|(there, _)| *there == name) {
                    columns.push((name.clone(), Origin::Measure(measure)));
                }
                Ok(name)
            }
            Some(Origin::Expression(text)) => {
                input.measures_of(&text, columns);
                Ok(text)
            }
            _ => Err(format!("column `{name}` is no count, sum or mean")),
        },
        other => Err(format!("`{}` is not understood", show(other))),
    }
}

fn output_name(item: &Item, names: &[String], at: usize) -> String {
    if let Some(name) = names.get(at) {
        return name.clone();
    }
    match (&item.alias, plain(&item.expr)) {
        (Some(alias), _) => alias.clone(),
        (None, Expr::Column(name)) => name.clone(),
        _ => format!("column_{}", at + 1),
    }
}

/// A name that an expression can hold.
fn identifier(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

/// Without casts.
pub(super) fn plain(expr: &Expr) -> &Expr {
    if let Expr::Cast { of, .. } = expr { plain(of) } else { expr }
}

fn has_aggregate(expr: &Expr) -> bool {
    match plain(expr) {
        Expr::Call { name, .. } => ["COUNT", "SUM", "AVG", "MIN", "MAX"].contains(&name.as_str()),
        Expr::Binary { left, right, .. } => has_aggregate(left) || has_aggregate(right),
        _ => false,
    }
}

/// `a.ROWTIME = b.ROWTIME`
fn is_same_time(expr: &Expr) -> bool {
    let is_time = |expr: &Expr| matches!(plain(expr), Expr::Column(name) if name == "ROWTIME");
    matches!(expr, Expr::Binary { op, left, right } if op == "=" && is_time(left) && is_time(right))
}

/// A column and the values it may have.
pub(super) fn terms(expr: &Expr) -> Option<Filter> {
    let value = |expr: &Expr| match plain(expr) {
        Expr::Text(value) | Expr::Number(value) => Some(value.clone()),
        _ => None,
    };
    match expr {
        Expr::Binary { op, left, right } if op == "=" => match (plain(left), plain(right)) {
            (Expr::Column(column), other) | (other, Expr::Column(column)) => {
                Some((column.clone(), vec![value(other)?]))
            }
            _ => None,
        },
        Expr::Binary { op, left, right } if op == "OR" => {
            let ((left, mut values), (right, more)) = (terms(left)?, terms(right)?);
            values.extend(more);
            (left == right).then_some((left, values))
        }
        Expr::In { of, values } => match plain(of) {
            Expr::Column(column) => Some((column.clone(), values.iter().map(value).collect::<Option<Vec<_>>>()?)),
            _ => None,
        },
        _ => None,
    }
}

/// As it would be written.
pub(super) fn show(expr: &Expr) -> String {
    let list = |all: &[Expr]| all.iter().map(show).collect::<Vec<_>>().join(", ");
    match expr {
        Expr::Star => "*".to_owned(),
        Expr::Column(name) => format!("\"{name}\""),
        Expr::Number(number) => number.clone(),
        Expr::Text(text) => format!("'{text}'"),
        Expr::Call { name, distinct, arguments } => {
            format!("{name}({}{})", if *distinct { "DISTINCT " } else { "" }, list(arguments))
        }
        Expr::Cast { of, data_type } => format!("CAST({} AS {data_type})", show(of)),
        Expr::Window(seconds) => format!("a window of {seconds} seconds"),
        Expr::Over { of, window: Over::Named(name) } => format!("{} OVER {name}", show(of)),
        Expr::Over { of, window: Over::Range(range) } => {
            format!("{} OVER a window of {} seconds", show(of), range.seconds)
        }
        Expr::Binary { op, left, right } => format!("({} {op} {})", show(left), show(right)),
        Expr::In { of, values } => format!("{} IN ({})", show(of), list(values)),
        Expr::Time => "a time".to_owned(),
    }
}
