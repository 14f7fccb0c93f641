//! The whole line from a real Kinesis server to a real S3 server, over splits and merges of shards and kills of the job:
//! in the bucket is exactly what was put into the stream.

use std::thread;
use std::time::Duration;

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng as _;

use crate::support::process::Running;
use crate::support::rig::{Ends, Rig};
use crate::support::servers::kinesis::Kinesis;
use crate::support::servers::s3::S3;

/// Records put in all: half of them one by one, half of them packed.
const RECORDS: u64 = 200_000;
const ROUNDS: u64 = 40;
/// User records in one packed record.
const PACKED: usize = 50;
const KILLS: u32 = 12;

/// A split or a merge, in turn, of open shards that chance picks.
fn reshard(rig: &Rig, random: &mut Pcg64Mcg, round: u64) {
    let open = rig.stream.open_shards();
    let at = usize::try_from(random.next_u64() % (open.len() as u64 - 1)).unwrap();
    if round.is_multiple_of(2) {
        rig.stream.split(&open[at]);
    } else {
        rig.stream.merge(&open[at], &open[at + 1]);
    }
}

#[test]
fn two_hundred_thousand_records_survive_reshards_and_kills() {
    let (kinesis, s3) = (Kinesis::start(), S3::shared());
    let (stream, bucket) = (kinesis.endpoint(), s3.endpoint());
    let ends = Ends { kinesis: &stream, kinesis_of_job: &stream, s3: &bucket, s3_of_job: &bucket };
    let mut rig = Rig::new(&ends, "killed", 4, 150);
    let mut random = Pcg64Mcg::new(3);
    let mut job: Option<Running> = None;
    let mut kills = 0;
    for round in 0..ROUNDS {
        rig.put(RECORDS / ROUNDS, if round.is_multiple_of(2) { 1 } else { PACKED });
        if round % 6 == 4 {
            reshard(&rig, &mut random, round / 6);
        }
        if let Some(mut running) = job.take_if(|_| round % 3 == 2) {
            thread::sleep(Duration::from_millis(random.next_u64() % 700));
            assert!(running.status().is_none(), "{}", running.errors());
            running.kill();
            kills += 1;
        }
        job.get_or_insert_with(|| rig.start());
    }
    let mut job = job.unwrap();
    assert!(kills >= KILLS, "{kills}");
    rig.until_committed(&mut job);
    assert!(job.terminate().success(), "{}", job.errors());
    rig.assert_exact();
    assert_eq!(rig.sent(), RECORDS);
}
