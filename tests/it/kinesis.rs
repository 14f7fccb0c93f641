//! The whole line from a real Kinesis server to a real S3 server, over splits and merges of shards and kills of the job:
//! in the bucket is exactly what was put into the stream.

use std::fs;
use std::thread;
use std::time::Duration;

use md5::{Digest as _, Md5};
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng as _;

use crate::support::bucket::Bucket;
use crate::support::process::{Running, command, ended, tidewatch, wait_until};
use crate::support::rig::{Ends, Rig, environment};
use crate::support::servers::kinesis::Kinesis;
use crate::support::servers::s3::{BUCKET, S3, WRITER};
use crate::support::stream::{REGION, Stream};
use crate::support::tree;

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
fn what_generate_puts_into_a_stream_is_what_it_puts_into_files() {
    let (kinesis, s3) = (Kinesis::shared(), S3::shared());
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name).display().to_string();
    let made = ["generate", "ecommerce", "--days", "1", "--series", "6", "--records", "2", "--seed", "5"];
    tidewatch(&[&made[..], &["--out", &place("files")]].concat()).good();
    let endpoint = kinesis.endpoint();
    let to = ["--to", "kinesis", "--stream", "made", "--create-stream", "2", "--region", REGION, "--rate", "20000"];
    let mut put = command(&[&made[..], &to, &["--endpoint-url", &endpoint]].concat());
    let said = ended(put.envs(environment(WRITER)).output().unwrap()).good();
    assert!(said.contains("in stream made"), "{said}");

    let rest = |url: &str| {
        format!(
            "[job]\nstream_batch_time = \"500ms\"\n[select]\ntimestamp = \"event_time\"\n\
             dimensions = [\"platform\", \"marketplace\"]\nmeasures = [\"views\"]\ntypes = {{ views = \"integer\" }}\n\
             [interval]\nidle_timeout = \"3s\"\n[partition]\nurl = \"{url}\"\n"
        )
    };
    let of_files = format!("[source.files]\npath = \"{}\"\n{}", place("files/records"), rest(&place("out")));
    let of_stream = format!(
        "[source.kinesis]\nstream = \"made\"\nregion = \"{REGION}\"\nendpoint_url = \"{endpoint}\"\n{}\
         [store.s3]\nregion = \"{REGION}\"\nendpoint_url = \"{}\"\n",
        rest(&format!("s3://{BUCKET}/made")),
        s3.endpoint()
    );
    fs::write(place("files.toml"), of_files).unwrap();
    fs::write(place("stream.toml"), of_stream).unwrap();
    tidewatch(&["etl", &place("files.toml")]).good();
    let expected = tree::read(&directory.path().join("out"));
    let bucket = Bucket::open(&s3.endpoint(), "made");
    let mut job = command(&["etl", &place("stream.toml")]);
    job.envs(environment(WRITER));
    let mut job = Running::of(job);
    let records = tree::rows(&expected).values().map(Vec::len).sum::<usize>() as u64;
    bucket.until_committed(&mut job, records);
    assert!(job.terminate().success(), "{}", job.errors());
    tree::assert_same_rows(&tree::rows(&bucket.tree()), &tree::rows(&expected), "from a stream against from files");
}

#[test]
fn enhanced_fan_out_gives_the_same() {
    let mut rig = Rig::shared("fan-out", 2, 600);
    rig.configure("poll_interval = \"200ms\"", "consumer = \"tidewatch\"");
    rig.put(2000, 1);
    let mut job = rig.start();
    rig.stream.split(&rig.stream.open_shards()[0]);
    rig.put(2000, 10);
    job.kill();
    let mut job = rig.start();
    rig.put(2000, 1);
    rig.until_committed(&mut job);
    assert!(job.terminate().success(), "{}", job.errors());
    rig.assert_exact();
}

#[test]
fn what_a_job_began_at_the_tip_missed_while_it_was_down_is_read() {
    let mut rig = Rig::shared("latest", 2, 600);
    rig.configure("poll_interval", "starting_position = \"LATEST\"\npoll_interval");
    // before the job: not for it
    rig.stream.put((0..50).map(|number| (format!("key-{number}"), b"{\"before\":true}".to_vec())).collect());
    let mut job = rig.start();
    wait_until("it begins", || rig.bucket.has("state/checkpoint-0000000001"));
    job.kill();
    // nothing was read from any shard when it was killed, and these came while it was down
    rig.put(1000, 1);
    let mut job = rig.start();
    rig.put(1000, 1);
    rig.until_committed(&mut job);
    assert!(job.terminate().success(), "{}", job.errors());
    rig.assert_exact();
}

#[test]
fn a_detector_learns_anew_and_the_shards_are_read_on_from_where_they_were() {
    let mut rig = Rig::shared("rebuild", 2, 600);
    rig.put(2000, 1);
    let mut job = rig.start();
    rig.until_committed(&mut job);
    assert!(job.terminate().success(), "{}", job.errors());
    rig.configure("[detect]", "[detect]\nsensitivity = 1.5");
    rig.put(1000, 1);
    let mut job = rig.start();
    assert_eq!(job.end().code(), Some(1));
    assert!(job.errors().contains("sensitivity `0.05`, the settings say `1.5`"), "{}", job.errors());
    assert!(job.errors().contains("`tidewatch run CONFIG --rebuild`"), "{}", job.errors());
    let mut job = rig.start_with(&["--rebuild"]);
    rig.until_committed(&mut job);
    assert!(job.errors().contains("the detector has learned anew from"), "{}", job.errors());
    job.kill();
    let mut job = rig.start();
    rig.put(1000, 1);
    rig.until_committed(&mut job);
    assert!(job.terminate().success(), "{}", job.errors());
    assert_eq!(rig.assert_exact(), 0, "nothing was late: no shard was read again from its beginning");
}

#[test]
fn a_second_stream_goes_on_in_the_same_tree() {
    let mut rig = Rig::shared("first-of-two", 1, 600);
    rig.put(1700, 1);
    let mut job = rig.start();
    rig.until_committed(&mut job);
    assert!(job.terminate().success(), "{}", job.errors());
    // the shard of the other stream has the same id, and records in the interval that the first one left off in
    rig.stream = Stream::create(&Kinesis::shared().endpoint(), "second-of-two", 1);
    rig.configure("\"first-of-two\"", "\"second-of-two\"");
    rig.configure("stream_batch_time", &format!("state = \"s3://{BUCKET}/second-of-two/state\"\nstream_batch_time"));
    rig.put(1700, 1);
    let mut job = rig.start();
    rig.until_committed(&mut job);
    assert!(job.terminate().success(), "{}", job.errors());
    rig.assert_exact();
}

/// Partition keys of records that go to this one of four shards.
fn keys_of(shard: u128) -> impl Iterator<Item = String> {
    let hash = |key: &String| u128::from_be_bytes(Md5::digest(key).into());
    (0..).map(|number| format!("key-{number}")).filter(move |key| hash(key) >> 126 == shard)
}

#[test]
fn a_shard_with_nothing_and_one_with_nothing_good_do_not_hold_up_the_others() {
    let rig = Rig::shared("uneven", 4, 600);
    let mut job = rig.start();
    let good = |at: u64| format!("{{\"id\":\"{at}\",\"at\":{},\"shop\":\"a\",\"views\":1}}", 1_704_067_200_000 + at);
    let mut keys = [keys_of(0), keys_of(2), keys_of(3)].map(|keys| keys.take(10_000).collect::<Vec<_>>().into_iter());
    // nothing for shard 1; while this flows there is hardly a moment without a record
    for step in 0..1200 {
        let at = step * 20_000;
        let [bad, one, two] = keys.each_mut().map(|keys| keys.next().unwrap());
        let put = vec![(bad, b"no record".to_vec()), (one, good(at).into_bytes()), (two, good(at + 1).into_bytes())];
        rig.stream.put(put);
        if step % 40 == 39 && rig.bucket.committed() > 0 {
            let rejects = tree::rejects(&rig.bucket.tree());
            assert!(rejects > 0, "what cannot be used leaves too");
            assert!(job.terminate().success(), "{}", job.errors());
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("nothing is committed while records flow; the job said:\n{}", job.errors());
}

#[test]
fn two_hundred_thousand_records_survive_reshards_and_kills() {
    let (kinesis, s3) = (Kinesis::start(), S3::shared());
    let (stream, bucket) = (kinesis.endpoint(), s3.endpoint());
    let ends = Ends { kinesis: &stream, kinesis_of_job: &stream, s3: &bucket, s3_of_job: &bucket };
    let mut rig = Rig::new(&ends, "reshards-and-kills", 4, 150);
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
