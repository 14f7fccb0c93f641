//! An OpenSearch anomaly detector, as `GET _plugins/_anomaly_detection/detectors/<id>` returns it or as it was created.

mod query;
mod rules;

use serde_json::Value;

use self::rules::Rules;
use super::draft::Draft;
use super::json::{Object, Reader};
use crate::model::Length;

/// The detector in an object, where there is one.
pub(super) fn recognised(object: &Object) -> Option<Object> {
    let inner = object.get("anomaly_detector").and_then(Value::as_object).unwrap_or(object);
    inner.contains_key("feature_attributes").then(|| inner.clone())
}

/// Writes what the detector says.
pub(super) fn translate(draft: &mut Draft, detector: &Object) {
    let mut detector = Reader::new(detector, "");
    detector.ignore(&["schema_version", "last_update_time", "user", "detector_type", "ui_metadata", "_id", "_version"]);
    for key in ["name", "description"] {
        if let Some(text) = detector.text(key) {
            draft.about(&format!("{key}: {text}"));
        }
    }
    let name = file_name(detector.text("name").unwrap_or("imported"));
    indices(draft, &mut detector, &name);
    select(draft, &mut detector);
    interval(draft, &mut detector);
    draft.section("partition").text("url", &format!("out/{name}"), "to be set: where partitions are written");
    draft.unset("partition.url", "where partitions are written");
    features(draft, &mut detector);
    forest(draft, &mut detector);
    if let Some(query) = detector.get("filter_query") {
        query::translate(draft, query);
    }
    if let Some(imputation) = detector.get("imputation_option") {
        let why =
            "an interval without a value has no sum and a count of 0, and a series that falls silent is a finding";
        draft.left(&format!("imputation_option = {imputation}"), why);
    }
    let about_results = "results are in `anomalies/` below `partition.url`";
    for key in ["result_index", "flatten_custom_result_index", "result_index_min_age"] {
        if let Some(value) = detector.get(key) {
            draft.left(&format!("{key} = {value}"), about_results);
        }
    }
    for (path, value) in detector.rest() {
        draft.left(&format!("{path} = {value}"), "");
    }
    draft.one_more("alert").number("severity_threshold", 70.0, "a detector has no alert of its own: our default");
}

fn indices(draft: &mut Draft, detector: &mut Reader<'_>, name: &str) {
    let indices = detector.texts("indices");
    let why = "an index is not read: write its records out as JSON lines, or read the stream that fills it";
    draft.unset("source", &format!("{why} (indices: {})", indices.join(", ")));
    draft.section("source.files").text("path", &format!("in/{name}"), "to be set");
    draft.section("decode").text("format", "json_lines", "documents of an index are JSON");
}

fn select(draft: &mut Draft, detector: &mut Reader<'_>) {
    let time = detector.text("time_field");
    if time.is_none() {
        draft.unset("select.timestamp", "the detector has no time_field");
    }
    draft.section("select").text("timestamp", time.unwrap_or("@timestamp"), "time_field");
    draft.section("select").text("timestamp_format", "iso8601", "to be set: the index has the format");
    draft.unset("select.timestamp_format", "how the event time is written: iso8601, epoch_milliseconds or a pattern");
    let category = match detector.get("category_field") {
        Some(Value::String(name)) => vec![name.clone()],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    let dimensions: Vec<String> = category.iter().map(|field| column(field)).collect();
    draft.section("select").texts("dimensions", &dimensions, "category_field");
}

/// The column of a field: the keyword beside a text is the same column.
fn column(field: &str) -> String {
    field.strip_suffix(".keyword").unwrap_or(field).to_owned()
}

fn interval(draft: &mut Draft, detector: &mut Reader<'_>) {
    match period(detector, "detection_interval") {
        Some(Ok(seconds)) if seconds >= 60 && Length::from_seconds(seconds).is_ok() => {
            draft.section("interval").seconds("length", seconds, "detection_interval");
        }
        Some(Ok(seconds)) => {
            draft.left(
                &format!("detection_interval of {seconds} seconds"),
                "an interval is whole minutes that divide a day",
            );
            draft.unset("interval.length", "5 minutes where it is left out");
        }
        Some(Err(value)) => draft.left(&format!("detection_interval = {value}"), "it is no period"),
        None => draft.unset("interval.length", "no detection_interval is described; 5 minutes where it is left out"),
    }
    match period(detector, "window_delay") {
        Some(Ok(seconds)) => drop(draft.section("interval").seconds("offset", seconds.min(432_000), "window_delay")),
        Some(Err(value)) => draft.left(&format!("window_delay = {value}"), "it is no period"),
        None => {}
    }
}

/// Seconds of a period, or what it says where it is none.
fn period<'a>(detector: &mut Reader<'a>, key: &'a str) -> Option<Result<u64, String>> {
    let value = detector.get(key)?;
    let seconds = || {
        let period = value.get("period")?;
        let unit = match period.get("unit")?.as_str()?.to_ascii_lowercase().as_str() {
            "seconds" => 1,
            "minutes" => 60,
            "hours" => 3600,
            "days" => 86_400,
            _ => return None,
        };
        period.get("interval")?.as_u64()?.checked_mul(unit)
    };
    Some(seconds().ok_or_else(|| value.to_string()))
}

fn features(draft: &mut Draft, detector: &mut Reader<'_>) {
    let rules = Rules::read(draft, detector);
    let mut columns: Vec<String> = Vec::new();
    for mut feature in detector.all_below("feature_attributes") {
        feature.ignore(&["feature_id"]);
        let name = feature.text("feature_name").unwrap_or_default().to_owned();
        if feature.flag("feature_enabled") == Some(false) {
            draft.left(&format!("feature `{name}`"), "it is not enabled");
            continue;
        }
        let query = feature.get("aggregation_query");
        let Some((aggregation, field)) = query.and_then(aggregation) else {
            let query = query.map(Value::to_string).unwrap_or_default();
            draft
                .left(&format!("feature `{name}`: {query}"), "it is no sum, avg, min, max or value_count of one field");
            continue;
        };
        let column = column(&field);
        let measure = draft.one_more("detect.measure");
        measure.text("column", &column, &format!("feature `{name}`: field"));
        measure.text("aggregation", aggregation, &format!("feature `{name}`: aggregation_query"));
        if !name.is_empty() {
            measure.text("name", &name, &feature.path("feature_name"));
        }
        rules.write(measure, &name);
        if !columns.contains(&column) {
            columns.push(column);
        }
        for (path, value) in feature.rest() {
            draft.left(&format!("{path} = {value}"), "");
        }
    }
    if columns.is_empty() {
        draft.unset("select.measures", "no feature could be translated");
        columns.push("value".to_owned());
    }
    draft.section("select").texts("measures", &columns, "the fields of the features");
    for column in &columns {
        draft.section("select.types").text(column, "float", "or integer");
    }
}

/// Our name of an aggregation of one field, and the field.
fn aggregation(query: &Value) -> Option<(&'static str, String)> {
    let mut aggregations = query.as_object()?.values();
    let (only, None) = (aggregations.next()?.as_object()?, aggregations.next()) else { return None };
    let mut kinds = only.iter();
    let ((kind, body), None) = (kinds.next()?, kinds.next()) else { return None };
    let name = match kind.as_str() {
        "sum" => "sum",
        "avg" => "avg",
        "min" => "min",
        "max" => "max",
        "value_count" => "count",
        _ => return None,
    };
    let body = body.as_object()?;
    let field = body.get("field")?.as_str().filter(|field| !field.is_empty())?;
    // `missing`, `script` and the like change what is counted
    (body.len() == 1).then(|| (name, field.to_owned()))
}

fn forest(draft: &mut Draft, detector: &mut Reader<'_>) {
    if let Some(shingle) = detector.integer("shingle_size") {
        if (1..=64).contains(&shingle) {
            draft.section("detect").integer("shingle", shingle, "shingle_size");
        } else {
            draft.left(&format!("shingle_size = {shingle}"), "allowed is 1 to 64");
        }
    }
    for key in ["recency_emphasis", "history", "frequency", "suggested_seasonality"] {
        if let Some(value) = detector.get(key) {
            draft.left(&format!("{key} = {value}"), "what is learned, and from when on, is not told from outside");
        }
    }
}

/// A name that can stand in a path.
fn file_name(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '-' }).collect()
}
