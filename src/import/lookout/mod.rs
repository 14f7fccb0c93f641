//! A Lookout for Metrics detector: what its describe calls returned, as `aws lookoutmetrics describe-… --output json`
//! prints it. A file may hold one answer or several; a dataset must be among them, for it has the columns.

mod alert;
mod dataset;

use super::ImportError;
use super::draft::Draft;
use super::json::{Object, Reader};

/// One describe call's answer.
pub(super) enum Part {
    /// `DescribeAnomalyDetector`
    Detector(Object),
    /// `DescribeMetricSet`
    Dataset(Object),
    /// `DescribeAlert`
    Alert(Object),
}

/// Says which answers an object is; one that holds others by name is all of them.
pub(super) fn recognised(object: Object) -> Option<Vec<Part>> {
    one(&object).map_or_else(|| several(object), |part| Some(vec![part]))
}

fn one(object: &Object) -> Option<Part> {
    let has = |key: &str| object.contains_key(key);
    if let Some(alert) = object.get("Alert").and_then(|alert| alert.as_object()) {
        return Some(Part::Alert(alert.clone()));
    }
    if has("MetricList") || has("MetricSetName") {
        return Some(Part::Dataset(object.clone()));
    }
    if has("AlertSensitivityThreshold") || has("AlertName") {
        return Some(Part::Alert(object.clone()));
    }
    let is_detector = has("AnomalyDetectorConfig") || has("AnomalyDetectorName");
    is_detector.then(|| Part::Detector(object.clone()))
}

fn several(object: Object) -> Option<Vec<Part>> {
    let values = object.into_iter().flat_map(|(_, value)| match value {
        serde_json::Value::Array(values) => values,
        value => vec![value],
    });
    let parts: Vec<Part> = values.filter_map(|value| value.as_object().and_then(one)).collect();
    (!parts.is_empty()).then_some(parts)
}

/// Seconds of a detector's frequency.
const FREQUENCIES: [(&str, u64); 4] = [("PT5M", 300), ("PT10M", 600), ("PT1H", 3600), ("P1D", 86_400)];

/// Writes what the answers say.
pub(super) fn translate(draft: &mut Draft, parts: Vec<(String, Part)>) -> Result<(), ImportError> {
    let (mut detector, mut dataset, mut alerts) = (None, None, Vec::new());
    for (name, part) in parts {
        let (place, object, what) = match part {
            Part::Alert(object) => {
                alerts.push(object);
                continue;
            }
            Part::Detector(object) => (&mut detector, object, "detector"),
            Part::Dataset(object) => (&mut dataset, object, "dataset"),
        };
        if place.replace(object).is_some() {
            return Err(ImportError::Second { name, what });
        }
    }
    let dataset = dataset.ok_or(ImportError::NoDataset)?;
    let own = detector.as_ref().map(|detector| head(draft, detector)).unwrap_or_default();
    dataset::translate(draft, &dataset, &own);
    let dimensions = Reader::new(&dataset, "").texts("DimensionList");
    alerts.iter().for_each(|object| alert::translate(draft, object, &dimensions));
    if alerts.is_empty() {
        draft.one_more("alert").number("severity_threshold", 70.0, "no alert was described: our default");
    }
    Ok(())
}

/// What the detector itself says.
#[derive(Default)]
struct Head {
    /// Its frequency, where it is one that is known.
    seconds: Option<u64>,
    region: Option<String>,
    /// A name that can stand in a path.
    name: Option<String>,
}

fn head(draft: &mut Draft, detector: &Object) -> Head {
    let mut detector = Reader::new(detector, "");
    detector.ignore(&["CreationTime", "LastModificationTime", "Status", "FailureReason", "FailureType"]);
    detector.ignore(&["ResponseMetadata"]);
    let mut head = Head::default();
    if let Some(name) = detector.text("AnomalyDetectorName") {
        draft.about(&format!("AnomalyDetectorName: {name}"));
        head.name = Some(name.to_owned());
    }
    if let Some(description) = detector.text("AnomalyDetectorDescription") {
        draft.about(&format!("AnomalyDetectorDescription: {description}"));
    }
    if let Some(arn) = detector.text("AnomalyDetectorArn") {
        head.region = region(arn);
    }
    if let Some(mut config) = detector.below("AnomalyDetectorConfig") {
        let frequency = config.text("AnomalyDetectorFrequency");
        head.seconds = frequency.and_then(|frequency| seconds(draft, "AnomalyDetectorFrequency", frequency));
        rest(draft, &config);
    }
    if let Some(key) = detector.text("KmsKeyArn") {
        draft.left(
            &format!("KmsKeyArn = {key}"),
            "it encrypted the service's own copy; `[store.s3] encryption` is for ours",
        );
    }
    rest(draft, &detector);
    head
}

/// Seconds of a frequency; one that is not known is noted.
fn seconds(draft: &mut Draft, path: &str, frequency: &str) -> Option<u64> {
    let found = FREQUENCIES.iter().find(|(name, _)| *name == frequency).map(|(_, seconds)| *seconds);
    if found.is_none() {
        draft.left(&format!("{path} = {frequency}"), "it is no frequency of Lookout's");
    }
    found
}

/// The region that an ARN names.
fn region(arn: &str) -> Option<String> {
    arn.split(':').nth(3).filter(|region| !region.is_empty()).map(str::to_owned)
}

/// Notes every key that was not asked for.
fn rest(draft: &mut Draft, reader: &Reader<'_>) {
    reader.rest().into_iter().for_each(|(path, value)| draft.left(&format!("{path} = {value}"), ""));
}
