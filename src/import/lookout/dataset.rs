//! A Lookout dataset (metric set): where its records lie, how they are written, its columns, its frequency and offset.

use super::{Head, region, rest, seconds};
use crate::decode::TimestampFormat;
use crate::import::draft::{Draft, shown};
use crate::import::json::{Object, Reader};
use crate::model::Zone;

/// The folders of an interval as this program writes them, in Lookout's words.
const OUR_FOLDERS: &str = "data/intvl_date={{yyyy-MM-dd}}/intvl_hhmm={{HHmm}}";
/// The largest offset that Lookout takes, and we take it as well.
const OFFSET_SECONDS_MAX: u64 = 432_000;

/// Writes what the dataset says.
pub(super) fn translate(draft: &mut Draft, dataset: &Object, head: &Head) {
    let mut dataset = Reader::new(dataset, "");
    dataset.ignore(&["CreationTime", "LastModificationTime", "AnomalyDetectorArn", "ResponseMetadata"]);
    for key in ["MetricSetName", "MetricSetDescription"] {
        if let Some(text) = dataset.text(key) {
            draft.about(&format!("{key}: {text}"));
        }
    }
    let arn_region = dataset.text("MetricSetArn").and_then(region);
    select(draft, &mut dataset);
    interval(draft, &mut dataset, head.seconds);
    let region = head.region.clone().or(arn_region);
    source(draft, &mut dataset, region.as_deref(), head.name.as_deref());
    rest(draft, &dataset);
}

fn select(draft: &mut Draft, dataset: &mut Reader<'_>) {
    match dataset.below("TimestampColumn") {
        Some(mut column) => {
            let name = column.text("ColumnName").unwrap_or_default();
            if name.is_empty() {
                draft.unset("select.timestamp", "TimestampColumn has no ColumnName");
            }
            let name = if name.is_empty() { "timestamp" } else { name };
            draft.section("select").text("timestamp", name, "TimestampColumn.ColumnName");
            match column.text("ColumnFormat") {
                Some(format) if TimestampFormat::parse(format).is_ok() => {
                    let from = "TimestampColumn.ColumnFormat";
                    draft.section("select").text("timestamp_format", format, from);
                }
                Some(format) => {
                    draft.left(&format!("TimestampColumn.ColumnFormat = {format}"), "it is no pattern that is known");
                    draft.unset("select.timestamp_format", "how the event time is written");
                }
                None => draft.unset("select.timestamp_format", "TimestampColumn has no ColumnFormat"),
            }
            rest(draft, &column);
        }
        None => {
            draft.unset("select.timestamp", "the dataset has no TimestampColumn");
            draft.section("select").text("timestamp", "timestamp", "not described: to be set");
        }
    }
    let dimensions = dataset.texts("DimensionList");
    draft.section("select").texts("dimensions", &dimensions, "DimensionList");
    measures(draft, dataset);
    for mut filter in dataset.all_below("DimensionFilterList") {
        let name = filter.text("Name").unwrap_or_default().to_owned();
        let mut values = Vec::new();
        for mut one in filter.all_below("FilterList") {
            let (value, operation) = (one.text("DimensionValue"), one.text("FilterOperation").unwrap_or("EQUALS"));
            match value.filter(|_| operation == "EQUALS") {
                Some(value) => values.push(value.to_owned()),
                None => draft.left(&format!("{} of `{name}`", one.path("FilterOperation")), operation),
            }
            rest(draft, &one);
        }
        if !name.is_empty() && !values.is_empty() {
            draft.section("select.filters").texts(&name, &values, "DimensionFilterList");
        }
        rest(draft, &filter);
    }
    if let Some(name) = dataset.text("Timezone") {
        if Zone::from_name(name).is_ok() {
            draft.section("select").text("timezone", name, "Timezone");
            draft.section("interval").text("timezone", name, "Timezone");
        } else {
            draft.left(&format!("Timezone = {name}"), "it is no name of the IANA database");
        }
    }
}

fn measures(draft: &mut Draft, dataset: &mut Reader<'_>) {
    let mut names = Vec::new();
    for mut metric in dataset.all_below("MetricList") {
        let Some(name) = metric.text("MetricName") else {
            draft.left(&metric.path("MetricName"), "it is missing");
            continue;
        };
        let aggregation = match metric.text("AggregationFunction") {
            Some("SUM") => "sum",
            Some("AVG") => "avg",
            other => {
                let other = other.unwrap_or("nothing");
                draft.left(&format!("{} = {other}", metric.path("AggregationFunction")), "summed instead");
                "sum"
            }
        };
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
        let from = metric.path("MetricName");
        let measure = draft.one_more("detect.measure");
        measure.text("column", name, &from);
        measure.text("aggregation", aggregation, &metric.path("AggregationFunction"));
        if let Some(namespace) = metric.text("Namespace") {
            draft.left(&format!("{} = {namespace}", metric.path("Namespace")), "it is CloudWatch's");
        }
        rest(draft, &metric);
    }
    if names.is_empty() {
        draft.unset("select.measures", "MetricList is empty");
        names.push("value".to_owned());
    }
    draft.section("select").texts("measures", &names, "MetricList");
    for name in &names {
        // Lookout's numbers are floats
        draft.section("select.types").text(name, "float", "as Lookout reads numbers; or integer");
    }
}

fn interval(draft: &mut Draft, dataset: &mut Reader<'_>, detector: Option<u64>) {
    let frequency = dataset.text("MetricSetFrequency");
    let own = frequency.and_then(|frequency| seconds(draft, "MetricSetFrequency", frequency));
    match (detector, own) {
        (Some(detector), own) => {
            draft.section("interval").seconds("length", detector, "AnomalyDetectorFrequency");
            if let Some(own) = own.filter(|own| *own != detector) {
                draft.left(&format!("MetricSetFrequency of {own} seconds"), "the detector's frequency holds");
            }
        }
        (None, Some(own)) => drop(draft.section("interval").seconds("length", own, "MetricSetFrequency")),
        (None, None) => draft.unset("interval.length", "no frequency is described; 5 minutes where it is left out"),
    }
    let offset = dataset.integer("Offset");
    match offset {
        Some(offset) if offset <= OFFSET_SECONDS_MAX => {
            draft.section("interval").seconds("offset", offset, "Offset");
        }
        Some(offset) => draft.left(&format!("Offset = {offset}"), "at most 432000 seconds"),
        None => drop(draft.section("interval").seconds("offset", 0, "no Offset: none")),
    }
}

fn source(draft: &mut Draft, dataset: &mut Reader<'_>, region: Option<&str>, detector: Option<&str>) {
    let name: String = detector
        .unwrap_or("imported")
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '-' })
        .collect();
    let mut url = None;
    if let Some(mut source) = dataset.below("MetricSource") {
        if let Some(mut s3) = source.below("S3SourceConfig") {
            url = templates(draft, &mut s3);
            if let Some(role) = s3.text("RoleArn").filter(|role| role.starts_with("arn:")) {
                draft.section("store.s3").text("role_arn", role, "MetricSource.S3SourceConfig.RoleArn: ours to assume");
            }
            if let Some(mut format) = s3.below("FileFormatDescriptor") {
                decode(draft, &mut format);
                rest(draft, &format);
            }
            rest(draft, &s3);
        }
        for (path, _) in source.rest() {
            draft.left(&path, "only files in S3 have a counterpart; write them out, or read the stream that fills it");
        }
    }
    if let Some(region) = region {
        draft.section("store.s3").text("region", region, "the ARNs");
    }
    match url {
        Some((url, template)) => {
            draft.section("partition").text("url", &url, &template);
            draft.about("The partitions are there already: `tidewatch detect` judges them, `backtest` their history.");
            draft.unset("source.files.path", "only `run` and `etl` read it, `detect` does not");
        }
        None => {
            let url = format!("out/{name}");
            draft.section("partition").text("url", &url, "to be set: where partitions are written");
            draft.unset("partition.url", "where partitions are written");
            draft.unset("source", "a directory with the files, or `[source.kinesis]` with the stream that fills them");
        }
    }
    draft.section("source.files").text("path", &format!("in/{name}"), "to be set");
}

/// The url of partitions in our own folders, and where it came from; other places are noted.
fn templates(draft: &mut Draft, s3: &mut Reader<'_>) -> Option<(String, String)> {
    let mut url = None;
    for (at, template) in s3.texts("TemplatedPathList").iter().enumerate() {
        let path = format!("{}[{at}]", s3.path("TemplatedPathList"));
        let ours = template.trim_end_matches('/').strip_suffix(OUR_FOLDERS).map(|url| url.trim_end_matches('/'));
        match ours.filter(|ours| url.is_none() && ours.starts_with("s3://") && ours.len() > "s3://".len()) {
            Some(ours) => url = Some((ours.to_owned(), path)),
            None => draft.left(
                &format!("{path} = {template}"),
                "objects are read from S3 only under `data/intvl_date=…/intvl_hhmm=…`",
            ),
        }
    }
    for (at, history) in s3.texts("HistoricalDataPathList").iter().enumerate() {
        let path = format!("{}[{at}]", s3.path("HistoricalDataPathList"));
        draft.left(
            &format!("{path} = {history}"),
            "`tidewatch backtest` judges history, and `--promote` begins with it",
        );
    }
    url
}

fn decode(draft: &mut Draft, format: &mut Reader<'_>) {
    if let Some(mut csv) = format.below("CsvFormatDescriptor") {
        draft.section("decode").text("format", "csv", "FileFormatDescriptor.CsvFormatDescriptor");
        for (key, name) in [("Delimiter", "delimiter"), ("QuoteSymbol", "quote")] {
            let Some(text) = csv.text(key) else { continue };
            if text.len() == 1 && !text.contains(['\n', '\r']) {
                draft.section("decode").text(name, text, &csv.path(key));
            } else {
                draft.left(&format!("{} = {}", csv.path(key), shown(text)), "allowed is one ASCII character");
            }
        }
        let names = csv.texts("HeaderList");
        match csv.flag("ContainsHeader") {
            Some(false) if !names.is_empty() => {
                draft.section("decode").texts("header", &names, &csv.path("HeaderList"));
            }
            Some(false) => draft.unset("decode.header", "the names of the columns: the files have no header"),
            _ if !names.is_empty() => draft.left(&csv.path("HeaderList"), "the names in the files' own header hold"),
            _ => {}
        }
        common(draft, &mut csv);
    }
    if let Some(mut json) = format.below("JsonFormatDescriptor") {
        draft.section("decode").text("format", "json_lines", "FileFormatDescriptor.JsonFormatDescriptor");
        common(draft, &mut json);
    }
}

/// Compression and character set, of either format.
fn common(draft: &mut Draft, descriptor: &mut Reader<'_>) {
    let path = descriptor.path("FileCompression");
    match descriptor.text("FileCompression") {
        Some("GZIP") => drop(draft.section("source.files").text("compression", "gzip", &path)),
        Some("NONE") => drop(draft.section("source.files").text("compression", "none", &path)),
        Some(other) => draft.left(&format!("{path} = {other}"), "allowed is `gzip` or `none`"),
        None => {}
    }
    let charset = descriptor.text("Charset").unwrap_or("UTF-8");
    if !charset.eq_ignore_ascii_case("UTF-8") {
        draft.left(&format!("{} = {charset}", descriptor.path("Charset")), "records are UTF-8");
    }
    rest(draft, descriptor);
}
