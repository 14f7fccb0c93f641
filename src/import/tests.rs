use proptest::prelude::*;

use super::*;
use crate::config::{self, Config};

const DETECTOR: &str = r#"{
  "AnomalyDetectorArn": "arn:aws:lookoutmetrics:eu-west-1:123456789012:AnomalyDetector:shop",
  "AnomalyDetectorName": "shop", "AnomalyDetectorDescription": "views of\nthe shop",
  "AnomalyDetectorConfig": {"AnomalyDetectorFrequency": "PT10M"},
  "CreationTime": 1622673607.7, "LastModificationTime": 1622673607.7, "Status": "ACTIVE",
  "KmsKeyArn": "arn:aws:kms:eu-west-1:123456789012:key/x"
}"#;

const DATASET: &str = r#"{
  "MetricSetArn": "arn:aws:lookoutmetrics:eu-west-1:123456789012:MetricSet:shop", "MetricSetName": "views",
  "AnomalyDetectorArn": "arn", "CreationTime": 1.0, "LastModificationTime": 1.0,
  "Offset": 90,
  "MetricList": [
    {"MetricName": "views", "AggregationFunction": "SUM"},
    {"MetricName": "latency", "AggregationFunction": "AVG", "Namespace": ""}
  ],
  "TimestampColumn": {"ColumnName": "event_time", "ColumnFormat": "yyyy-MM-dd HH:mm:ss"},
  "DimensionList": ["platform", "marketplace"],
  "MetricSetFrequency": "PT10M", "Timezone": "Europe/Berlin",
  "MetricSource": {"S3SourceConfig": {
    "RoleArn": "arn:aws:iam::123456789012:role/lookout",
    "TemplatedPathList": ["s3://shop/views/data/intvl_date={{yyyy-MM-dd}}/intvl_hhmm={{HHmm}}/"],
    "HistoricalDataPathList": ["s3://shop/history/"],
    "FileFormatDescriptor": {"CsvFormatDescriptor": {
      "FileCompression": "GZIP", "Charset": "UTF-8", "ContainsHeader": true, "Delimiter": ";", "QuoteSymbol": "\""}}
  }},
  "DimensionFilterList": [{"Name": "marketplace", "FilterList": [
    {"DimensionValue": "us", "FilterOperation": "EQUALS"}, {"DimensionValue": "de", "FilterOperation": "EQUALS"}]}],
  "SomethingNew": {"a": 1}
}"#;

const ALERT: &str = r#"{"Alert": {
  "AlertName": "on-call", "AlertArn": "arn", "AnomalyDetectorArn": "arn", "AlertType": "SNS", "AlertStatus": "ACTIVE",
  "AlertSensitivityThreshold": 65, "AlertDescription": "wakes \"us\"",
  "AlertFilters": {"MetricList": ["views"], "DimensionFilterList": [
    {"DimensionName": "marketplace", "DimensionValueList": ["us", "uk"]}, {"DimensionName": "x", "DimensionValueList": ["y"]}]},
  "Action": {"SNSConfiguration": {"RoleArn": "arn", "SnsTopicArn": "arn:aws:sns:eu-west-1:123456789012:shop", "SnsFormat": "JSON"}}
}}"#;

const OPENSEARCH: &str = r#"{"_id": "x", "anomaly_detector": {
  "name": "http requests", "description": "d", "time_field": "@timestamp", "indices": ["logs*"],
  "feature_attributes": [
    {"feature_id": "1", "feature_name": "bytes_sum", "feature_enabled": true,
     "aggregation_query": {"b": {"sum": {"field": "bytes"}}}},
    {"feature_name": "latency_max", "feature_enabled": true, "aggregation_query": {"l": {"max": {"field": "latency"}}}},
    {"feature_name": "odd", "feature_enabled": true,
     "aggregation_query": {"o": {"scripted_metric": {"init_script": "x"}}}},
    {"feature_name": "off", "feature_enabled": false, "aggregation_query": {"b": {"sum": {"field": "bytes"}}}}
  ],
  "filter_query": {"bool": {"filter": [
      {"terms": {"status.keyword": ["500", "503"], "boost": 1.0}}, {"term": {"host": {"value": "a", "boost": 1}}},
      {"range": {"bytes": {"gt": 1}}}], "adjust_pure_negative": true, "boost": 1}},
  "detection_interval": {"period": {"interval": 10, "unit": "Minutes"}},
  "window_delay": {"period": {"interval": 1, "unit": "Minutes"}},
  "shingle_size": 8, "category_field": ["host.keyword"], "schema_version": 0,
  "imputation_option": {"method": "ZERO"},
  "rules": [
    {"action": "IGNORE_ANOMALY", "conditions": [
      {"feature_name": "bytes_sum", "threshold_type": "ACTUAL_OVER_EXPECTED_RATIO", "operator": "LTE", "value": 0.3}]},
    {"action": "IGNORE_ANOMALY", "conditions": [
      {"feature_name": "bytes_sum", "threshold_type": "EXPECTED_OVER_ACTUAL_RATIO", "operator": "LTE", "value": 0.3}]},
    {"action": "IGNORE_ANOMALY", "conditions": [
      {"feature_name": "latency_max", "threshold_type": "ACTUAL_IS_BELOW_EXPECTED"}]},
    {"action": "IGNORE_ANOMALY", "conditions": [
      {"feature_name": "latency_max", "threshold_type": "ACTUAL_OVER_EXPECTED_MARGIN", "operator": "LTE", "value": 5}]}
  ]
}}"#;

const TRADES: &str = r#"
-- a stream of trades
CREATE OR REPLACE STREAM "TEMP_STREAM" ("tickerSymbol" VARCHAR(6), "tradeType" VARCHAR(4), "price" DOUBLE,
   "quantity" INTEGER, "ANOMALY_SCORE" DOUBLE, "ANOMALY_EXPLANATION" VARCHAR(512));
CREATE OR REPLACE STREAM "DESTINATION_SQL_STREAM" ("tickerSymbol" VARCHAR(6), "tradeType" VARCHAR(4), "price" DOUBLE,
   "quantity" INTEGER, "ANOMALY_SCORE" DOUBLE, "ANOMALY_EXPLANATION" VARCHAR(512));
CREATE OR REPLACE PUMP "STREAM_PUMP" AS INSERT INTO "TEMP_STREAM"
  SELECT STREAM "tickerSymbol", "tradeType", "price", "quantity", "ANOMALY_SCORE", "ANOMALY_EXPLANATION"
  FROM TABLE(RANDOM_CUT_FOREST_WITH_EXPLANATION(
    CURSOR(SELECT STREAM * FROM "SOURCE_SQL_STREAM_001" WHERE "tradeType" IN ('BUY', 'SELL')), 50, 128, 20000, 2, true));
CREATE OR REPLACE PUMP "OUTPUT_PUMP" AS INSERT INTO "DESTINATION_SQL_STREAM"
  SELECT STREAM * FROM "TEMP_STREAM" WHERE ANOMALY_SCORE > 1 AND "price" > 0
  ORDER BY FLOOR("TEMP_STREAM".ROWTIME TO SECOND), ANOMALY_SCORE DESC;
"#;

const CLICKS: &str = r#"
CREATE OR REPLACE STREAM "CLICKSTREAM" ("CLICKCOUNT" DOUBLE);
CREATE OR REPLACE PUMP "CLICKPUMP" STARTED AS INSERT INTO "CLICKSTREAM" ("CLICKCOUNT")
  SELECT STREAM COUNT(*) FROM "SOURCE_SQL_STREAM_001" WHERE "browseraction" = 'Click'
  GROUP BY FLOOR(("SOURCE_SQL_STREAM_001".ROWTIME - TIMESTAMP '1970-01-01 00:00:00') SECOND / 60 TO SECOND);
CREATE OR REPLACE STREAM "IMPRESSIONSTREAM" ("IMPRESSIONCOUNT" DOUBLE);
CREATE OR REPLACE PUMP "IMPRESSIONPUMP" STARTED AS INSERT INTO "IMPRESSIONSTREAM" ("IMPRESSIONCOUNT")
  SELECT STREAM COUNT(*) FROM "SOURCE_SQL_STREAM_001" WHERE "browseraction" = 'Impression'
  GROUP BY STEP("SOURCE_SQL_STREAM_001".ROWTIME BY INTERVAL '1' MINUTE);
CREATE OR REPLACE STREAM "CTRSTREAM" ("CTR" DOUBLE);
CREATE OR REPLACE PUMP "CTRPUMP" STARTED AS INSERT INTO "CTRSTREAM" ("CTR")
  SELECT STREAM "CLICKCOUNT" / "IMPRESSIONCOUNT" * 100.000 AS "CTR"
  FROM "IMPRESSIONSTREAM", "CLICKSTREAM" WHERE "IMPRESSIONSTREAM".ROWTIME = "CLICKSTREAM".ROWTIME;
CREATE OR REPLACE STREAM "DESTINATION_SQL_STREAM" ("CTRPERCENT" DOUBLE, "ANOMALY_SCORE" DOUBLE);
CREATE OR REPLACE PUMP "OUTPUT_PUMP" STARTED AS INSERT INTO "DESTINATION_SQL_STREAM"
  SELECT STREAM * FROM TABLE(RANDOM_CUT_FOREST(CURSOR(SELECT STREAM "CTR" FROM "CTRSTREAM"), 100, 12, 100000, 1))
  WHERE ANOMALY_SCORE > 2;
CREATE FUNCTION x() RETURNS INT RETURN 1;
"#;

fn described(texts: &[&str]) -> Vec<Description> {
    let description = |(at, text): (usize, &&str)| Description { name: format!("{at}.txt"), text: (*text).to_owned() };
    texts.iter().enumerate().map(description).collect()
}

fn imported(texts: &[&str]) -> Imported {
    import(&described(texts)).unwrap_or_else(|error| panic!("{error}"))
}

fn loaded(imported: &Imported) -> Config {
    config::parse(&imported.toml, &|_| None).unwrap_or_else(|problems| panic!("{problems}\n{}", imported.toml))
}

fn table(imported: &Imported) -> toml::Table {
    imported.toml.parse().unwrap_or_else(|error| panic!("{error}\n{}", imported.toml))
}

/// Column and aggregation of each measure.
fn columns(toml: &toml::Table) -> Vec<(&str, &str)> {
    let measures = toml["detect"]["measure"].as_array().unwrap();
    measures
        .iter()
        .map(|measure| (measure["column"].as_str().unwrap(), measure["aggregation"].as_str().unwrap()))
        .collect()
}

/// Fails unless something was left that begins so.
fn assert_left(imported: &Imported, beginning: &str) {
    let untranslated = &imported.untranslated;
    assert!(untranslated.iter().any(|line| line.starts_with(beginning)), "{beginning} in {untranslated:#?}");
    assert!(imported.toml.contains(&format!("# - {beginning}")), "{}", imported.toml);
}

#[test]
fn a_lookout_detector_is_translated() {
    let imported = imported(&[DETECTOR, DATASET, ALERT]);
    let config = loaded(&imported);
    let toml = table(&imported);
    assert_eq!(config.interval.length.seconds(), 600);
    assert_eq!(config.interval.offset_micros, 90_000_000);
    assert_eq!(config.interval.zone.name(), "Europe/Berlin");
    assert_eq!(config.partition.url, "s3://shop/views");
    assert_eq!(config.select.dimensions, ["platform", "marketplace"]);
    assert_eq!(config.select.filters, [("marketplace".to_owned(), vec!["us".to_owned(), "de".to_owned()])]);
    assert_eq!(columns(&toml), [("views", "sum"), ("latency", "avg")]);
    assert_eq!(toml["decode"]["delimiter"].as_str(), Some(";"));
    assert_eq!(toml["source"]["files"]["compression"].as_str(), Some("gzip"));
    assert_eq!(toml["store"]["s3"]["region"].as_str(), Some("eu-west-1"));
    let alerts = toml["alert"].as_array().unwrap();
    assert_eq!(alerts.len(), 1);
    assert_eq!(alerts[0]["severity_threshold"].as_float(), Some(65.0));
    assert_eq!(alerts[0]["measures"][0].as_str(), Some("views"));
    assert_eq!(alerts[0]["dimensions"]["marketplace"][1].as_str(), Some("uk"));
    assert_eq!(alerts[0]["sns"]["topic_arn"].as_str(), Some("arn:aws:sns:eu-west-1:123456789012:shop"));
    assert_eq!(alerts[0]["sns"]["region"].as_str(), Some("eu-west-1"));
    assert_eq!((alerts[0]["name"].as_str(), alerts[0]["format"].as_str()), (Some("on-call"), Some("lookout")));
    assert_eq!(alerts[0]["description"].as_str(), Some("wakes \"us\""));
    assert_left(&imported, "Alert.AlertFilters.DimensionFilterList[1].DimensionName = x: y");
    assert!(imported.toml.contains("# AnomalyDetectorDescription: views of the shop\n"), "{}", imported.toml);
    for left in ["KmsKeyArn = ", "MetricSource.S3SourceConfig.HistoricalDataPathList[0]", "SomethingNew = {\"a\":1}"] {
        assert_left(&imported, left);
    }
}

#[test]
fn answers_may_come_in_one_file_and_in_any_order() {
    let apart = imported(&[DETECTOR, DATASET, ALERT]);
    let body = |imported: &Imported| imported.toml.split_once('\n').unwrap().1.to_owned();
    assert_eq!(body(&imported(&[&format!("{DETECTOR}\n{DATASET}\n{ALERT}")])), body(&apart));
    assert_eq!(body(&imported(&[ALERT, &format!("[{DETECTOR}, {DATASET}]")])), body(&apart));
    assert_eq!(body(&imported(&[&format!("{{\"a\": {DETECTOR}, \"b\": [{DATASET}, {ALERT}]}}")])), body(&apart));
}

#[test]
fn a_lookout_dataset_elsewhere_is_named() {
    let other = DATASET.replace("data/intvl_date={{yyyy-MM-dd}}/intvl_hhmm={{HHmm}}/", "{{yyyyMMdd}}/{{HHmm}}");
    let imported = imported(&[&other]);
    loaded(&imported);
    assert_left(&imported, "MetricSource.S3SourceConfig.TemplatedPathList[0] = s3://shop/views/{{yyyyMMdd}}/{{HHmm}}");
    assert!(imported.toml.contains("# - partition.url: "), "{}", imported.toml);
    let other = DATASET.replace("S3SourceConfig", "RDSSourceConfig");
    assert_left(&super::import(&described(&[&other])).unwrap(), "MetricSource.RDSSourceConfig: ");
}

#[test]
fn an_opensearch_detector_is_translated() {
    let imported = imported(&[OPENSEARCH]);
    let config = loaded(&imported);
    assert_eq!(config.interval.length.seconds(), 600);
    assert_eq!(config.interval.offset_micros, 60_000_000);
    assert_eq!(config.detect.forest.shingle, 8);
    assert_eq!(config.select.dimensions, ["host"]);
    let expected =
        [("host".to_owned(), vec!["a".to_owned()]), ("status".to_owned(), vec!["500".to_owned(), "503".to_owned()])];
    let mut filters = config.select.filters.clone();
    filters.sort();
    assert_eq!(filters, expected);
    let toml = table(&imported);
    let measures = toml["detect"]["measure"].as_array().unwrap();
    assert_eq!(measures.len(), 2, "{}", imported.toml);
    assert_eq!(measures[0]["min_change_ratio"].as_float(), Some(0.3));
    assert_eq!(measures[1]["direction"].as_str(), Some("high"));
    assert!(measures[1].get("min_change").is_none(), "{}", imported.toml);
    for left in [
        "feature `odd`",
        "feature `off`",
        "filter_query: {\"range\"",
        "imputation_option",
        "rules: margin of `latency_max`",
    ] {
        assert_left(&imported, left);
    }
}

#[test]
fn what_opensearch_ignores_by_default_is_ignored() {
    let (before, after) = OPENSEARCH.split_once("\"rules\"").unwrap();
    let end = &after[after.rfind(']').unwrap() + 1..];
    let text = format!("{}{end}", before.trim_end().trim_end_matches(','));
    let toml = table(&imported(&[&text]));
    assert_eq!(toml["detect"]["measure"][0]["min_change_ratio"].as_float(), Some(0.2));
}

#[test]
fn a_forest_over_records_is_translated() {
    let imported = imported(&[TRADES]);
    assert!(loaded(&imported).detect.records.is_some());
    let toml = table(&imported);
    let texts = |value: &toml::Value| -> Vec<String> {
        value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(texts(&toml["detect"]["records"]["columns"]), ["price", "quantity"]);
    assert_eq!(texts(&toml["select"]["measures"]), ["price", "quantity"]);
    assert_eq!(texts(&toml["select"]["keep"]), ["tickerSymbol", "tradeType"]);
    assert_eq!(texts(&toml["select"]["filters"]["tradeType"]), ["BUY", "SELL"]);
    assert_eq!(toml["select"]["types"]["quantity"].as_str(), Some("integer"));
    assert_eq!(toml["detect"]["input"].as_str(), Some("records"));
    let number = |key: &str| toml["detect"]["records"][key].as_integer();
    assert_eq!(["trees", "sample", "time_decay", "shingle"].map(number), [Some(50), Some(128), Some(20_000), Some(2)]);
    assert_eq!(toml["detect"]["records"]["attribution"].as_bool(), Some(true));
    assert_eq!(toml["detect"]["records"]["score_threshold"].as_float(), Some(1.0));
    assert_left(&imported, "WHERE (\"price\" > 0)");
}

#[test]
fn a_forest_over_windows_is_translated() {
    let imported = imported(&[CLICKS]);
    assert_eq!(loaded(&imported).detect.measures.len(), 3);
    let toml = table(&imported);
    assert_eq!(toml["interval"]["length"].as_str(), Some("1m"));
    let measures = toml["detect"]["measure"].as_array().unwrap();
    let names: Vec<&str> = measures.iter().map(|measure| measure["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["CLICKCOUNT", "IMPRESSIONCOUNT", "CTR"], "{}", imported.toml);
    assert_eq!(measures[0]["aggregation"].as_str(), Some("count"));
    assert_eq!(measures[1]["where"]["browseraction"][0].as_str(), Some("Impression"));
    assert_eq!(measures[2]["expression"].as_str(), Some("(CLICKCOUNT / IMPRESSIONCOUNT) * 100.000"));
    assert_eq!(toml["detect"]["trees"].as_integer(), Some(100));
    assert_eq!(toml["detect"]["sample"].as_integer(), Some(12));
    assert_eq!(toml["detect"]["time_decay"].as_integer(), Some(100_000));
    for left in ["statement `CREATE FUNCTION", "WHERE ANOMALY_SCORE above 2"] {
        assert_left(&imported, left);
    }
}

#[test]
fn an_aggregate_alone_is_translated() {
    let sql = "CREATE OR REPLACE STREAM \"D\" (shop VARCHAR(4), total DOUBLE, buyers INTEGER);
        CREATE OR REPLACE PUMP \"P\" AS INSERT INTO \"D\" SELECT STREAM shop, SUM(CAST(amount AS DOUBLE)) AS total, COUNT(DISTINCT buyer) AS buyers
        FROM \"SOURCE_SQL_STREAM_001\" GROUP BY shop, STEP(\"SOURCE_SQL_STREAM_001\".ROWTIME BY INTERVAL '300' SECOND);";
    let imported = imported(&[sql]);
    let config = loaded(&imported);
    assert_eq!(config.interval.length.seconds(), 300);
    assert_eq!(config.select.dimensions, ["SHOP"]);
    assert_eq!(columns(&table(&imported)), [("AMOUNT", "sum"), ("BUYER", "distinct")]);
    assert_eq!(config.select.measures.len(), 1);
    assert_eq!(&*config.detect.measures[0].name, "TOTAL");
}

#[test]
fn sliding_windows_are_measures_with_a_window() {
    let sql = "CREATE OR REPLACE STREAM \"D\" (\"ticker\" VARCHAR(4), \"mean\" DOUBLE, \"n\" INTEGER, \"ratio\" DOUBLE);
        CREATE OR REPLACE PUMP \"P\" AS INSERT INTO \"D\"
        SELECT STREAM \"ticker\", \"sector\", AVG(\"price\") OVER W1 AS \"mean\", COUNT(*) OVER W2 AS \"n\",
          SUM(\"price\") OVER W2 / COUNT(DISTINCT \"buyer\") OVER (PARTITION BY \"ticker\" RANGE INTERVAL '1' MINUTE PRECEDING) AS \"ratio\"
        FROM \"SOURCE_SQL_STREAM_001\" WHERE \"kind\" = 'BUY'
        WINDOW W1 AS (PARTITION BY \"ticker\" RANGE INTERVAL '10' SECOND PRECEDING),
          W2 AS (PARTITION BY \"ticker\" RANGE BETWEEN INTERVAL '1' MINUTE PRECEDING AND CURRENT ROW);";
    let imported = imported(&[sql]);
    let config = loaded(&imported);
    assert_eq!((config.interval.length.seconds(), &config.select.dimensions[..]), (2, &["ticker".to_owned()][..]));
    let toml = table(&imported);
    let measures = toml["detect"]["measure"].as_array().unwrap();
    let told = |measure: &toml::Value| {
        let text = |key: &str| measure.get(key).and_then(toml::Value::as_str).unwrap_or("").to_owned();
        [text("name"), text("aggregation"), text("window")]
    };
    let expected = [
        ["mean", "avg", "10s"],
        ["n", "count", "1m"],
        ["sum_price_60s", "sum", "1m"],
        ["distinct_buyer_60s", "distinct", "1m"],
        ["ratio", "", ""],
    ];
    assert_eq!(measures.iter().map(told).collect::<Vec<_>>(), expected, "{}", imported.toml);
    assert_eq!(measures[4]["expression"].as_str(), Some("sum_price_60s / distinct_buyer_60s"));
    assert_left(&imported, "column `sector` beside windows");
    assert!(imported.toml.contains("a value each so often"), "{}", imported.toml);
}

#[test]
fn sliding_windows_in_front_of_a_forest_are_translated() {
    let sql = "CREATE PUMP p AS INSERT INTO \"T\" SELECT STREAM AVG(\"load\") OVER W AS \"mean\" FROM \"SOURCE_SQL_STREAM_001\"
          WINDOW W AS (RANGE INTERVAL '5' MINUTE PRECEDING);
        CREATE PUMP q AS INSERT INTO \"D\" SELECT STREAM * FROM TABLE(RANDOM_CUT_FOREST(CURSOR(SELECT STREAM \"mean\" FROM \"T\"), 50));";
    let imported = imported(&[sql]);
    let config = loaded(&imported);
    assert_eq!((config.interval.length.seconds(), config.detect.forest.trees), (60, 50));
    assert_eq!(table(&imported)["detect"]["measure"][0]["window"].as_str(), Some("5m"));
}

#[test]
fn windows_too_far_apart_are_named() {
    let sql =
        "CREATE PUMP p AS INSERT INTO \"T\" SELECT STREAM SUM(x) OVER (RANGE INTERVAL '10' SECOND PRECEDING) AS a,
        SUM(x) OVER (RANGE INTERVAL '1' DAY PRECEDING) AS b FROM s";
    let imported = imported(&[sql]);
    loaded(&imported);
    assert_left(&imported, "a window of 86400 seconds beside one of 10 seconds");
}

#[test]
fn windows_of_odd_lengths_are_made_of_intervals_that_divide_a_day() {
    let of = |one: &str, other: &str| {
        let sql = format!(
            "CREATE PUMP p AS INSERT INTO \"T\" SELECT STREAM SUM(x) OVER (RANGE INTERVAL {one} PRECEDING) AS a,
            SUM(x) OVER (RANGE INTERVAL {other} PRECEDING) AS b FROM s"
        );
        let imported = imported(&[&sql]);
        let seconds = loaded(&imported).interval.length.seconds();
        let measures = table(&imported)["detect"]["measure"].as_array().unwrap().clone();
        let window = |measure: &toml::Value| measure.get("window").and_then(toml::Value::as_str).map(str::to_owned);
        (seconds, measures.iter().map(window).collect::<Vec<_>>(), imported)
    };
    let windows = |names: [&str; 2]| names.map(|name| Some(name.to_owned())).to_vec();
    let (seconds, told, _) = of("'7' SECOND", "'70' SECOND");
    assert_eq!((seconds, told), (1, windows(["7s", "70s"])));
    let (seconds, told, _) = of("'7' DAY", "'14' DAY");
    assert_eq!((seconds, told), (86_400, windows(["7d", "14d"])));
    // too many seconds for the longer one, and no other part of a day is a part of both
    let (_, told, imported) = of("'7' SECOND", "'371' SECOND");
    assert_eq!(told, [None, None]);
    assert_left(&imported, "a window of 371 seconds beside one of 7 seconds");
}

#[test]
fn stagger_windows_are_intervals_of_event_time() {
    let stagger = |by: &str| {
        format!(
            "CREATE PUMP p AS INSERT INTO \"D\" SELECT STREAM \"ticker\", COUNT(*) AS \"n\" FROM \"S\"
             WINDOWED BY STAGGER (PARTITION BY {by}\"ticker\" RANGE INTERVAL '2' MINUTE);"
        )
    };
    let of_event_time = imported(&[&stagger("FLOOR(\"EVENT_TIME\" TO MINUTE), ")]);
    let config = loaded(&of_event_time);
    assert_eq!((config.interval.length.seconds(), &config.select.dimensions[..]), (60, &["ticker".to_owned()][..]));
    assert!(of_event_time.toml.contains("open for 120 seconds"), "{}", of_event_time.toml);
    let free = imported(&[&stagger("")]);
    assert_eq!(loaded(&free).interval.length.seconds(), 120);
    assert_left(&free, "WINDOWED BY STAGGER, 120 seconds: it opens with the first record of its key");
}

#[test]
fn sql_that_is_not_understood_is_named() {
    let refused = |sql: &str| import(&described(&[sql])).unwrap_err().to_string();
    assert!(refused("SELECT 1 FROM x").contains("only streams and pumps are translated"));
    assert!(
        refused("CREATE OR REPLACE PUMP p AS INSERT INTO d SELECT STREAM a FROM b")
            .contains("neither a forest nor a window")
    );
    assert!(refused("SELECT 'a FROM b").contains("line 1: a quote is not closed"));
    let circle =
        "CREATE PUMP p AS INSERT INTO a SELECT STREAM * FROM b; CREATE PUMP q AS INSERT INTO b SELECT STREAM * FROM a";
    assert!(refused(circle).contains("circle"), "{}", refused(circle));
    let over = |items: &str, window: &str| {
        refused(&format!("CREATE PUMP p AS INSERT INTO a SELECT STREAM {items} FROM b WINDOW w AS ({window})"))
    };
    let minute = "RANGE INTERVAL '1' MINUTE PRECEDING";
    let rows = over("AVG(x) OVER w", "PARTITION BY k ROWS 10 PRECEDING");
    assert!(rows.contains("windows of a number of rows are not translated"), "{rows}");
    let unknown = over("AVG(x) OVER v", minute);
    assert!(unknown.contains("no window is named `V`"), "{unknown}");
    let mixed = over(&format!("AVG(x) OVER w, SUM(x) OVER (PARTITION BY k {minute})"), minute);
    assert!(mixed.contains("partitioned by different columns"), "{mixed}");
    let ordered = over("AVG(x) OVER w", &format!("ORDER BY y {minute}"));
    assert!(ordered.contains("ordered by something else"), "{ordered}");
    let first = over("FIRST_VALUE(x) OVER w", minute);
    assert!(first.contains("is not understood"), "{first}");
    let nested = format!("CREATE PUMP p AS INSERT INTO a SELECT {}1 FROM b", "(".repeat(100_000));
    assert!(refused(&nested).contains("nested too deeply"));
}

#[test]
fn what_is_no_description_is_refused() {
    let refused = |texts: &[&str]| import(&described(texts)).unwrap_err();
    assert_eq!(refused(&[]), ImportError::Nothing);
    for text in ["", "hello", "{}", "[]", "[1]", "{\"a\": 1}"] {
        assert_eq!(refused(&[text]), ImportError::Unknown { name: "0.txt".into() }, "{text}");
    }
    assert!(matches!(refused(&["{\"a\": "]), ImportError::Json { .. }));
    assert!(matches!(refused(&[DETECTOR, TRADES]), ImportError::Mixed { .. }));
    assert_eq!(refused(&[DETECTOR]), ImportError::NoDataset);
    assert!(matches!(refused(&[DATASET, DATASET]), ImportError::Second { what: "dataset", .. }));
    assert!(matches!(refused(&[OPENSEARCH, OPENSEARCH]), ImportError::Second { .. }));
}

/// A text in which some bytes are something else.
fn damaged(text: &str, changes: &[(usize, u8)]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for (at, byte) in changes {
        let at = at % bytes.len();
        bytes[at] = *byte;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

proptest! {
    #[test]
    fn nothing_panics(text in "(SELECT|CREATE|\\{|\\[|FROM|.|\n){0,60}") {
        let _ = import(&described(&[&text]));
    }

    /// Of a description that is damaged a configuration is written that is at least TOML, or none.
    #[test]
    fn damaged_descriptions_do_no_harm(
        kind in 0..4_usize,
        changes in prop::collection::vec((0..4000_usize, prop::sample::select(b" \"'{}[],:;()*=-/0aZ\n\\".to_vec())), 1..6),
    ) {
        let text = damaged([DATASET, OPENSEARCH, TRADES, CLICKS][kind], &changes);
        if let Ok(imported) = import(&described(&[&text])) {
            prop_assert!(imported.toml.parse::<toml::Table>().is_ok(), "{}", imported.toml);
        }
    }

    /// The same with values of other types in places where others are expected.
    #[test]
    fn values_of_other_types_do_no_harm(kind in 0..2_usize, at in 0..60_usize, value in prop::sample::select(vec!["null", "1e999", "-1", "[]", "{}", "\"\"", "true", "[[1]]"])) {
        let text = [DATASET, OPENSEARCH][kind];
        let colons: Vec<usize> = text.match_indices(": ").map(|(at, _)| at + 2).collect();
        let start = colons[at % colons.len()];
        let end = text[start..].find([',', '\n', '}']).map_or(text.len(), |length| start + length);
        let text = format!("{}{value}{}", &text[..start], &text[end..]);
        if let Ok(imported) = import(&described(&[&text])) {
            prop_assert!(imported.toml.parse::<toml::Table>().is_ok(), "{}", imported.toml);
        }
    }
}

#[test]
fn of_several_pumps_behind_a_forest_the_lowest_score_holds() {
    let pump = |name: &str, filter: &str| {
        format!(
            "{TRADES}CREATE OR REPLACE PUMP \"{name}\" AS INSERT INTO \"ARCHIVE\" SELECT STREAM * FROM \"TEMP_STREAM\" {filter};\n"
        )
    };
    let threshold = |text: &str| {
        let imported = imported(&[text]);
        assert_left(
            &imported,
            "WHERE ANOMALY_SCORE above 1 of the pump into DESTINATION_SQL_STREAM: the lowest of all",
        );
        assert!(imported.toml.contains("`score_threshold = 1.0`"), "{}", imported.toml);
        let toml = table(&imported);
        toml["detect"]["records"].get("score_threshold").and_then(toml::Value::as_float)
    };
    assert_eq!(threshold(&pump("ALL", "")), Some(0.0), "one of them keeps every record");
    assert_eq!(threshold(&pump("MORE", "WHERE ANOMALY_SCORE > 0.5")), Some(0.5));
}
