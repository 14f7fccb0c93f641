//! The filter of an OpenSearch detector: documents that stay. Terms of one field become a filter, everything else is
//! named.

use serde_json::Value;

use super::column;
use crate::import::draft::Draft;

/// Writes the filters that a query is made of.
pub(super) fn translate(draft: &mut Draft, query: &Value) {
    for clause in clauses(query) {
        match terms(clause) {
            Some((field, values)) => {
                let name = column(&field);
                if draft.section("select.filters").has(&name) {
                    draft.left(&format!("filter_query: {clause}"), "a column has one filter");
                } else {
                    draft.section("select.filters").texts(&name, &values, "filter_query");
                }
            }
            None => draft.left(&format!("filter_query: {clause}"), "only terms of one field become a filter"),
        }
    }
}

/// What must hold all together; nothing where all documents stay.
fn clauses(query: &Value) -> Vec<&Value> {
    let Some(object) = query.as_object() else { return vec![query] };
    if object.contains_key("match_all") && object.len() == 1 {
        return Vec::new();
    }
    let Some(parts) = object.get("bool").and_then(Value::as_object).filter(|_| object.len() == 1) else {
        return vec![query];
    };
    // `boost` and `adjust_pure_negative` change no filter
    let is_plain = parts.iter().all(|(key, value)| match key.as_str() {
        "filter" | "must" | "boost" | "adjust_pure_negative" => true,
        // written out by some clients, and empty
        "should" | "must_not" => value.as_array().is_some_and(Vec::is_empty),
        _ => false,
    });
    if !is_plain {
        return vec![query];
    }
    let of = |key: &str| match parts.get(key) {
        Some(Value::Array(clauses)) => clauses.iter().collect(),
        Some(clause) => vec![clause],
        None => Vec::new(),
    };
    of("filter").into_iter().chain(of("must")).flat_map(clauses).collect()
}

/// A field and the values it may have.
fn terms(clause: &Value) -> Option<(String, Vec<String>)> {
    let object = clause.as_object().filter(|object| object.len() == 1)?;
    let (kind, body) = object.iter().next()?;
    let mut fields = body.as_object()?.iter().filter(|(key, _)| key.as_str() != "boost");
    let ((field, value), None) = (fields.next()?, fields.next()) else { return None };
    let values = match kind.as_str() {
        "term" | "match_phrase" => {
            let value = value.get("value").or_else(|| value.get("query")).unwrap_or(value);
            vec![plain(value)?]
        }
        "terms" => value.as_array()?.iter().map(plain).collect::<Option<Vec<_>>>()?,
        _ => return None,
    };
    (!values.is_empty()).then(|| (field.clone(), values))
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}
