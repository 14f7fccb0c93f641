//! `check` talks to the stream and to the bucket before a job does, and names what is missing.

use crate::support::proxy::{Fault, Match, Proxy, Rule, When};
use crate::support::rig::{Ends, Rig};
use crate::support::servers::kinesis::Kinesis;
use crate::support::servers::s3::{READER, S3, S3RVER, WRITER};

/// A stream with some records, and what `check` says with these keys and this proxy before the stream.
fn said(name: &str, s3: &S3, keys: crate::support::servers::s3::Keys, rules: Vec<Rule>) -> (Option<i32>, String) {
    let kinesis = Kinesis::shared();
    let proxy = Proxy::before(kinesis.port());
    let (stream, bucket, through) = (kinesis.endpoint(), s3.endpoint(), proxy.endpoint());
    let ends = Ends { kinesis: &stream, kinesis_of_job: &through, s3: &bucket, s3_of_job: &bucket };
    let mut rig = Rig::new(&ends, name, 2, 1000);
    rig.put(100, 1);
    proxy.set(rules);
    let ended = rig.check(keys);
    assert!(!ended.stderr.contains(keys.secret) && !ended.stdout.contains(keys.secret), "a secret is shown");
    (ended.code, ended.stdout + &ended.stderr)
}

#[test]
fn a_stream_and_a_bucket_that_will_do() {
    let (code, said) = said("check-good", S3::shared(), WRITER, Vec::new());
    assert_eq!(code, Some(0), "{said}");
    for part in ["2 of 2 shards open", "ok       read", "ok       write only once", "100 rows", "series     7"] {
        assert!(said.contains(part), "{part} in {said}");
    }
}

#[test]
fn a_permission_that_is_missing_is_named() {
    let denied = |operation| {
        let fault = Fault::kinesis("AccessDeniedException");
        vec![Rule::new(Match::Operation(operation), When::Every(1), fault)]
    };
    let operations = ["DescribeStreamSummary", "ListShards", "GetShardIterator", "GetRecords"];
    for (number, operation) in operations.into_iter().enumerate() {
        let (code, said) = said(&format!("check-denied-{number}"), S3::shared(), WRITER, denied(operation));
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(&format!("kinesis:{operation}")), "{operation} in {said}");
    }
    let (code, said) = said("check-read-only", S3::shared(), READER, Vec::new());
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("s3:PutObject"), "{said}");
}

#[test]
fn a_bucket_where_every_writer_wins_is_refused() {
    let (code, said) = said("check-every-writer", &S3::without_conditions(), S3RVER, Vec::new());
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("no conditional writes"), "{said}");
}
