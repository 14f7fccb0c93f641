//! The alert JSON of Amazon Lookout for Metrics, member by member, so that what read its alerts reads ours. Expected
//! value, band and direction have no place in it: `tidewatch` is the shape that has them.

use serde_json::{Map, Value, json};

use super::{About, instant};
use crate::model::Notice;

/// What old consumers may look for, and what ours has no other words for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lookout {
    /// `anomalyDetectorArn`
    pub detector_arn: String,
    /// `alertArn`
    pub alert_arn: String,
    /// `consoleUrl`
    pub console_url: String,
}

pub(super) fn alert(names: &Lookout, notice: &Notice, about: &About) -> Value {
    let at = instant(notice, about.zone).micros();
    let at = chrono::DateTime::from_timestamp_micros(at).unwrap_or_default();
    json!({
        "alertName": about.route,
        "alertEventId": event_id(&names.alert_arn, &notice.id),
        "anomalyDetectorArn": names.detector_arn,
        "alertArn": names.alert_arn,
        "alertDescription": about.description,
        "impactedMetric": {
            "metricName": notice.measures.first(),
            "dimensionContribution": contributions(notice),
            "relevantTimeSeries": series(notice),
        },
        "timestamp": at.format("%Y-%m-%dT%H:%MZ[UTC]").to_string(),
        "anomalyScore": notice.severity,
        "consoleUrl": names.console_url,
    })
}

/// The event's id begins with its alert, where that has a name.
fn event_id(alert_arn: &str, id: &str) -> String {
    if alert_arn.is_empty() { id.to_owned() } else { format!("{alert_arn}:event/{id}") }
}

/// Shares in percent, which add up to 100 within a dimension.
fn contributions(notice: &Notice) -> Vec<Value> {
    let entries = notice.body["contributions"].as_array().into_iter().flatten();
    let entry = |contribution: &Value| {
        let values = contribution["values"].as_array().into_iter().flatten().map(|share| {
            let percent = (share["share"].as_f64().unwrap_or(0.0) * 10_000.0).round() / 100.0;
            json!({ "dimensionValue": share["value"], "valueContribution": percent })
        });
        json!({
            "dimensionName": contribution["dimension"],
            "dimensionValueContributions": values.collect::<Vec<_>>(),
        })
    };
    entries.map(entry).collect()
}

/// The series of the findings; of a notice without findings, its slices.
fn series(notice: &Notice) -> Vec<Value> {
    let one = |dimensions: &Map<String, Value>, value: &Value| {
        let id = dimensions.iter().map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()));
        let id = notice.measures.iter().cloned().chain(id).collect::<Vec<_>>().join("/");
        let dimensions = dimensions.iter().map(|(name, value)| json!({"dimensionName": name, "dimensionValue": value}));
        json!({ "timeSeriesId": id, "dimensions": dimensions.collect::<Vec<_>>(), "metricValue": value })
    };
    if let Some(findings) = notice.body["findings"].as_array() {
        let found = |finding: &Value| Some(one(finding["dimensions"].as_object()?, &finding["value"]));
        return findings.iter().filter_map(found).collect();
    }
    let value = &notice.body["value"];
    notice
        .slices
        .iter()
        .map(|slice| one(&slice.iter().map(|(n, v)| (n.to_owned(), v.into())).collect(), value))
        .collect()
}
