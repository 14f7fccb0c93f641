//! A Lookout alert: its threshold, its filters, whom it told.

use super::{region, rest};
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
        receiver(draft, &mut action, &name);
        rest(draft, &action);
    }
    rest(draft, &alert);
}

/// Whom it told: one of two kinds.
fn receiver(draft: &mut Draft, action: &mut Reader<'_>, name: &str) {
    const KINDS: [(&str, &str, &str, &str); 2] = [
        ("SNSConfiguration", "SnsTopicArn", "alert.sns", "topic_arn"),
        ("LambdaConfiguration", "LambdaArn", "alert.lambda", "function"),
    ];
    let mut has_one = false;
    for (key, target, section, own) in KINDS {
        let Some(mut receiver) = action.below(key) else { continue };
        // the service's role; ours are the credentials of whoever runs the job
        receiver.ignore(&["RoleArn"]);
        let shape = receiver.text("SnsFormat").unwrap_or("JSON");
        let arn = receiver.text(target).filter(|arn| arn.starts_with("arn:") && arn.split(':').count() >= 6);
        rest(draft, &receiver);
        let Some(arn) = arn.filter(|_| !has_one) else {
            draft.left(&receiver.path(key), "it names nobody, or a second one: findings are shown on the terminal");
            continue;
        };
        has_one = true;
        let alert = draft.last("alert");
        if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
            alert.text("name", name, "AlertName");
        }
        match shape {
            "JSON" => alert.text("format", "lookout", "its JSON, for those who read it; leave it out for ours"),
            _ => alert.text("format", "text", &format!("SnsFormat = {shape}")),
        };
        let below = draft.below(section);
        below.text(own, arn, &receiver.path(target));
        if let Some(region) = region(arn) {
            below.text("region", &region, "the ARN");
        }
    }
}
