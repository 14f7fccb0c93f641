//! A Lookout alert: its threshold, its filters, whom it told.

use super::rest;
use crate::import::draft::Draft;
use crate::import::json::{Object, Reader};

/// Writes what one alert says.
pub(super) fn translate(draft: &mut Draft, alert: &Object, dimensions: &[String]) {
    let mut alert = Reader::new(alert, "Alert");
    alert.ignore(&["AlertArn", "AnomalyDetectorArn", "CreationTime", "LastModificationTime", "AlertType"]);
    let name = alert.text("AlertName").unwrap_or("without a name").to_owned();
    if alert.text("AlertStatus") == Some("INACTIVE") {
        draft.left(&format!("alert `{name}`"), "it is inactive");
        return;
    }
    let threshold = alert.number("AlertSensitivityThreshold").filter(|threshold| (0.0..=100.0).contains(threshold));
    let (threshold, from) = match threshold {
        Some(threshold) => (threshold, "AlertSensitivityThreshold"),
        None => (70.0, "no AlertSensitivityThreshold from 0 to 100: our default"),
    };
    draft.one_more("alert").number("severity_threshold", threshold, &format!("`{name}`: {from}"));
    if let Some(description) = alert.text("AlertDescription") {
        draft.last("alert").text("description", description, "AlertDescription");
    }
    if let Some(mut filters) = alert.below("AlertFilters") {
        let measures = filters.texts("MetricList");
        if !measures.is_empty() {
            draft.last("alert").texts("measures", &measures, "AlertFilters.MetricList");
        }
        let mut slices: Vec<(String, Vec<String>)> = Vec::new();
        for mut filter in filters.all_below("DimensionFilterList") {
            let (name, values) = (filter.text("DimensionName").unwrap_or_default(), filter.texts("DimensionValueList"));
            let is_new = !slices.iter().any(|(there, _)| there == name);
            if dimensions.iter().any(|known| known == name) && !values.is_empty() && is_new {
                slices.push((name.to_owned(), values));
            } else {
                let path = filter.path("DimensionName");
                draft.left(&format!("{path} = {name}: {}", values.join(", ")), "it is no dimension of the dataset");
            }
            rest(draft, &filter);
        }
        if !slices.is_empty() {
            draft.last("alert").table("dimensions", &slices, "AlertFilters.DimensionFilterList");
        }
        rest(draft, &filters);
    }
    if let Some(mut action) = alert.below("Action") {
        for (key, target) in [("SNSConfiguration", "SnsTopicArn"), ("LambdaConfiguration", "LambdaArn")] {
            let Some(mut receiver) = action.below(key) else { continue };
            receiver.ignore(&["RoleArn", "SnsFormat"]);
            if let Some(arn) = receiver.text(target) {
                draft.left(&format!("{} = {arn}", receiver.path(target)), "findings are shown on the terminal");
            }
            rest(draft, &receiver);
        }
        rest(draft, &action);
    }
    rest(draft, &alert);
}
