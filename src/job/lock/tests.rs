//! Locks over a directory, and leases over a store in memory with times of milliseconds.

use super::*;
use crate::store::{Replaced, Settings};
use bytes::Bytes;

const TIMES: Times =
    Times { beat: Duration::from_millis(20), lease: Duration::from_millis(200), look: Duration::from_millis(10) };
const LEASE: &str = "_lease";

#[tokio::test]
async fn a_second_job_is_refused_until_the_first_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&directory.path().display().to_string(), &Settings::default()).await.unwrap();
    let first = Lock::take(&store).await.unwrap();
    assert!(matches!(Lock::take(&store).await, Err(LockError::Held { .. })));
    first.confirm().await.unwrap();
    drop(first);
    Lock::take(&store).await.unwrap();
}

/// The lease of a process that is not on this machine.
fn foreign(beat: u64) -> Bytes {
    let note = serde_json::json!({
        "owner": "x", "host": "elsewhere", "machine": "another", "pid": 7, "started": 1, "beat": beat, "released": false
    });
    Bytes::from(note.to_string())
}

#[tokio::test]
async fn a_lease_that_is_renewed_is_held_and_one_that_was_let_go_of_is_free() {
    let store = Store::in_memory();
    let first = Lock::take_within(&store, TIMES).await.unwrap();
    let error = Lock::take_within(&store, TIMES).await.unwrap_err().to_string();
    assert!(error.contains(&format!("process {}", std::process::id())) && error.contains("hint:"), "{error}");
    first.confirm().await.unwrap();
    first.release().await;
    let second = tokio::time::timeout(TIMES.lease / 2, Lock::take_within(&store, TIMES)).await;
    second.expect("nobody waits for a lease that is free").unwrap();
}

#[tokio::test]
async fn a_lease_of_another_machine_is_watched_and_taken_over_when_it_stands_still() {
    let store = Store::in_memory();
    store.put(LEASE, foreign(1)).await.unwrap();
    let since = tokio::time::Instant::now();
    let lock = Lock::take_within(&store, TIMES).await.unwrap();
    assert!(since.elapsed() >= TIMES.lease, "{:?}", since.elapsed());
    // the former owner comes back: its write is refused, for the lease is another object
    let (_, version) = store.get_versioned(LEASE).await.unwrap().unwrap();
    lock.confirm().await.unwrap();
    assert!(tokio::time::timeout(TIMES.beat * 3, lock.lost()).await.is_err());
    assert_eq!(store.replace(LEASE, foreign(2), &version).await.unwrap(), Replaced::Changed);
}

#[tokio::test]
async fn a_lease_of_another_machine_that_is_renewed_is_held() {
    let store = Store::in_memory();
    store.put(LEASE, foreign(1)).await.unwrap();
    let beating = store.clone();
    let other = tokio::spawn(async move {
        for beat in 2.. {
            tokio::time::sleep(TIMES.beat).await;
            beating.put(LEASE, foreign(beat)).await.unwrap();
        }
    });
    let error = Lock::take_within(&store, TIMES).await.unwrap_err();
    other.abort();
    assert!(error.to_string().contains("process 7 on `elsewhere`"), "{error}");
}

#[tokio::test]
async fn of_many_that_take_over_one_wins() {
    let store = Store::in_memory();
    store.put(LEASE, foreign(1)).await.unwrap();
    let taking = (0..8).map(|_| Lock::take_within(&store, TIMES));
    let taken = futures::future::join_all(taking).await;
    assert_eq!(taken.iter().filter(|taken| taken.is_ok()).count(), 1);
    assert!(taken.iter().flat_map(|taken| taken.as_ref().err()).all(|error| matches!(error, LockError::Leased { .. })));
}

#[tokio::test]
async fn an_owner_that_was_away_too_long_finds_out() {
    let store = Store::in_memory();
    let lock = Lock::take_within(&store, TIMES).await.unwrap();
    store.put(LEASE, foreign(1)).await.unwrap();
    let lost = tokio::time::timeout(TIMES.lease, lock.lost()).await.expect("the next beat finds out");
    assert!(matches!(&lost, LockError::Lost { .. }) && lost.to_string().contains("`elsewhere`"), "{lost}");
    assert!(matches!(lock.confirm().await, Err(LockError::Lost { .. })));
    // what is another one's is not let go of
    lock.release().await;
    assert_eq!(store.get(LEASE).await.unwrap(), Some(foreign(1)));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_lease_of_a_process_that_was_killed_here_is_free_at_once() {
    let store = Store::in_memory();
    let first = Lock::take_within(&store, TIMES).await.unwrap();
    let mut note: serde_json::Value = serde_json::from_slice(&store.get(LEASE).await.unwrap().unwrap()).unwrap();
    drop(first);
    // the same machine and id, and a process that began earlier
    note["started"] = 1.into();
    store.put(LEASE, Bytes::from(note.to_string())).await.unwrap();
    let taken = tokio::time::timeout(TIMES.lease / 2, Lock::take_within(&store, TIMES)).await;
    taken.expect("it is known to be gone").unwrap();
}
