//! Servers that stop, refuse, cut off and forget; two jobs at once. In each case the job goes on by itself, says what
//! happened, and every record is in the bucket once.

use std::thread;
use std::time::Duration;

use crate::support::process::wait_until;
use crate::support::proxy::{Fault, Match, Proxy, Rule, When};
use crate::support::rig::{Ends, Rig};
use crate::support::servers::kinesis::Kinesis;
use crate::support::servers::s3::S3;

/// Records of one test: an hour of event time.
const RECORDS: u64 = 6000;
const STEP_MILLIS: u64 = 600;
const SHARDS: i32 = 2;
/// Time for a job to notice what happened.
const A_WHILE: Duration = Duration::from_secs(2);

/// Puts all records in twelve portions, with something done before each.
fn put_all(rig: &mut Rig, mut between: impl FnMut(&Rig, u32)) {
    for portion in 0..12 {
        between(rig, portion);
        rig.put(RECORDS / 12, 1);
    }
}

#[test]
fn an_s3_server_that_stops_and_starts_again() {
    let (kinesis, mut s3) = (Kinesis::shared(), S3::start());
    let (stream, bucket) = (kinesis.endpoint(), s3.endpoint());
    let ends = Ends { kinesis: &stream, kinesis_of_job: &stream, s3: &bucket, s3_of_job: &bucket };
    let mut rig = Rig::new(&ends, "s3-stops", SHARDS, STEP_MILLIS);
    let mut job = rig.start();
    put_all(&mut rig, |_, portion| match portion {
        3 | 8 => {
            s3.stop();
            thread::sleep(A_WHILE);
        }
        4 | 9 => s3.start_again(),
        _ => {}
    });
    rig.until_committed(&mut job);
    assert!(job.terminate().success(), "{}", job.errors());
    rig.assert_exact();
    assert!(job.errors().contains("s3://"), "it tells of the outage:\n{}", job.errors());
}

#[test]
fn a_kinesis_server_that_stops_and_starts_again() {
    let (mut kinesis, s3) = (Kinesis::persistent(), S3::shared());
    let (stream, bucket) = (kinesis.endpoint(), s3.endpoint());
    let ends = Ends { kinesis: &stream, kinesis_of_job: &stream, s3: &bucket, s3_of_job: &bucket };
    let mut rig = Rig::new(&ends, "kinesis-stops", SHARDS, STEP_MILLIS);
    let mut job = rig.start();
    put_all(&mut rig, |_, portion| {
        if portion == 4 || portion == 8 {
            job.until_it_says(" records, ");
            kinesis.stop();
            thread::sleep(A_WHILE);
            kinesis.start_again();
        }
    });
    rig.until_committed(&mut job);
    assert!(job.terminate().success(), "{}", job.errors());
    rig.assert_exact();
    let said = job.errors();
    assert!(said.contains("cannot be read, trying again") && said.contains("is read again"), "{said}");
}

#[test]
fn an_s3_service_that_refuses_cuts_off_and_forgets() {
    let (kinesis, s3) = (Kinesis::shared(), S3::shared());
    let proxy = Proxy::before(s3.port());
    let (stream, bucket, through) = (kinesis.endpoint(), s3.endpoint(), proxy.endpoint());
    let ends = Ends { kinesis: &stream, kinesis_of_job: &stream, s3: &bucket, s3_of_job: &through };
    let mut rig = Rig::new(&ends, "s3-refuses", SHARDS, STEP_MILLIS);
    proxy.set([
        Rule::new(Match::Any, When::Every(13), Fault::s3(503, "SlowDown")),
        Rule::new(Match::Any, When::Every(17), Fault::s3(500, "InternalError")),
        Rule::new(Match::Path("PUT", ""), When::Every(5), Fault::LoseAnswer),
        Rule::new(Match::Path("GET", ""), When::Every(3), Fault::CutAnswer),
        Rule::new(Match::Any, When::Every(19), Fault::Drop),
    ]);
    let mut job = rig.start();
    put_all(&mut rig, |rig, portion| {
        if portion == 5 || portion == 9 {
            job.kill();
            job = rig.start();
        }
    });
    rig.until_committed(&mut job);
    proxy.set([]);
    assert!(job.terminate().success(), "{}", job.errors());
    rig.assert_exact();
    assert!(proxy.struck() > 20, "{} faults", proxy.struck());
}

#[test]
fn an_s3_service_that_is_full_for_a_while() {
    let (kinesis, s3) = (Kinesis::shared(), S3::shared());
    let proxy = Proxy::before(s3.port());
    let (stream, bucket, through) = (kinesis.endpoint(), s3.endpoint(), proxy.endpoint());
    let ends = Ends { kinesis: &stream, kinesis_of_job: &stream, s3: &bucket, s3_of_job: &through };
    let mut rig = Rig::new(&ends, "s3-full", SHARDS, STEP_MILLIS);
    let mut job = rig.start();
    put_all(&mut rig, |_, portion| match portion {
        4 => proxy.set([Rule::new(Match::Path("PUT", ""), When::Every(1), Fault::s3(507, "StorageFull"))]),
        9 => {
            job.until_it_says("StorageFull");
            proxy.set([]);
        }
        _ => {}
    });
    rig.until_committed(&mut job);
    assert!(job.terminate().success(), "{}", job.errors());
    rig.assert_exact();
    assert!(job.errors().contains("StorageFull"), "it tells what is wrong:\n{}", job.errors());
}

#[test]
fn a_kinesis_service_that_throttles_expires_and_cuts_off() {
    let (kinesis, s3) = (Kinesis::shared(), S3::shared());
    let proxy = Proxy::before(kinesis.port());
    let (stream, bucket, through) = (kinesis.endpoint(), s3.endpoint(), proxy.endpoint());
    let ends = Ends { kinesis: &stream, kinesis_of_job: &through, s3: &bucket, s3_of_job: &bucket };
    let mut rig = Rig::new(&ends, "kinesis-refuses", SHARDS, STEP_MILLIS);
    let get = Match::Operation("GetRecords");
    proxy.set([
        Rule::new(get.clone(), When::Every(3), Fault::kinesis("ProvisionedThroughputExceededException")),
        Rule::new(get.clone(), When::Every(11), Fault::kinesis("ExpiredIteratorException")),
        Rule::new(get.clone(), When::Every(7), Fault::CutAnswer),
        Rule::new(get, When::Every(13), Fault::Hold(Duration::from_secs(1))),
        Rule::new(Match::Operation("GetShardIterator"), When::Every(3), Fault::kinesis("LimitExceededException")),
        Rule::new(Match::Operation("ListShards"), When::Every(2), Fault::kinesis("InternalFailure")),
        Rule::new(Match::Any, When::Every(17), Fault::Drop),
    ]);
    let mut job = rig.start();
    put_all(&mut rig, |rig, portion| match portion {
        3 => rig.stream.split(&rig.stream.open_shards()[0]),
        6 => rig.stream.merge(&rig.stream.open_shards()[1], &rig.stream.open_shards()[2]),
        8 => {
            job.kill();
            job = rig.start();
        }
        _ => {}
    });
    rig.until_committed(&mut job);
    assert!(job.terminate().success(), "{}", job.errors());
    rig.assert_exact();
    assert!(proxy.struck() > 20, "{} faults", proxy.struck());
}

#[test]
fn a_stream_within_its_limits_is_read_without_being_refused() {
    let (kinesis, s3) = (Kinesis::shared(), S3::shared());
    let proxy = Proxy::before(kinesis.port());
    let (stream, bucket, through) = (kinesis.endpoint(), s3.endpoint(), proxy.endpoint());
    let ends = Ends { kinesis: &stream, kinesis_of_job: &through, s3: &bucket, s3_of_job: &bucket };
    let mut rig = Rig::new(&ends, "kinesis-limits", 1, STEP_MILLIS);
    // the service's own: five reads a second of each shard
    let limit = Fault::kinesis("ProvisionedThroughputExceededException");
    proxy.set([Rule::new(Match::Operation("GetRecords"), When::Above(5), limit)]);
    rig.put(RECORDS, 1);
    let mut job = rig.start();
    rig.until_committed(&mut job);
    assert!(job.terminate().success(), "{}", job.errors());
    rig.assert_exact();
    assert!(proxy.struck() <= 1, "refused {} times", proxy.struck());
}

#[test]
fn a_second_job_on_the_same_state_is_refused() {
    let mut rig = Rig::shared("two-jobs", SHARDS, STEP_MILLIS);
    let mut job = rig.start();
    let mut refused = None;
    put_all(&mut rig, |rig, portion| {
        if portion == 4 {
            thread::sleep(A_WHILE);
            refused = Some(rig.start());
        }
    });
    let mut refused = refused.unwrap();
    rig.until_committed(&mut job);
    assert_eq!(refused.end().code(), Some(1));
    let said = refused.errors();
    assert!(said.contains("another") && said.contains("hint:"), "{said}");
    assert!(job.terminate().success(), "{}", job.errors());
    rig.assert_exact();
    // what a clean end leaves is free at once
    let mut next = rig.start();
    rig.put(100, 1);
    rig.until_committed(&mut next);
    assert!(next.terminate().success(), "{}", next.errors());
    rig.assert_exact();
}

#[test]
fn two_jobs_started_at_once_do_no_harm() {
    let mut rig = Rig::shared("at-once", SHARDS, STEP_MILLIS);
    rig.put(RECORDS / 2, 1);
    let mut jobs = [rig.start(), rig.start()];
    rig.put(RECORDS / 2, 1);
    wait_until("one of them gives way", || jobs.iter_mut().any(|job| job.status().is_some()));
    let [one, two] = &mut jobs;
    let job = if one.status().is_some() { two } else { one };
    rig.until_committed(job);
    assert!(job.terminate().success(), "{}", job.errors());
    rig.assert_exact();
}
