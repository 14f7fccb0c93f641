//! Many notices: over an outage, beside others that are not taken, in one interval.

use super::*;

/// A thousand times faster than it is by default: a millisecond is a second.
const FAST: Pace = Pace {
    timeout: Duration::from_millis(30),
    back_off: Duration::from_millis(1),
    back_off_max: Duration::from_millis(60),
    ..PACE
};

#[tokio::test]
async fn a_receiver_that_is_down_for_ten_minutes_or_hangs_or_fails_every_third_time_loses_nothing() {
    let outage = Duration::from_millis(600);
    let third = |before: usize| if before % 3 == 2 { down() } else { Outcome::Delivered };
    for manner in ["down", "hangs", "every third a 500"] {
        for limits in [Limits::ONE_BY_ONE, batches(20)] {
            let around = Surroundings::new();
            let begun = Instant::now();
            let outbox = around
                .open(limits, FAST, move |_, before| match manner {
                    "down" if begun.elapsed() < outage => down(),
                    "hangs" if begun.elapsed() < outage => Outcome::Untried,
                    "every third a 500" => third(before),
                    _ => Outcome::Delivered,
                })
                .await;
            // a notice every ten seconds, and on after it is back
            let mut ids = BTreeSet::new();
            for number in 0..90 {
                let id = format!("n{number:02}");
                // what a line does with a notice ends whatever the receiver does
                put(&outbox, number, &[&id]).await;
                ids.insert(id);
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            assert_eq!(outbox.drain(LONG, LONG).await, 0, "{manner}");
            let asked = around.asked();
            assert_eq!(asked.iter().cloned().collect::<BTreeSet<_>>(), ids, "{manner}");
            assert!(around.undelivered().await.0.is_empty() && around.names().await.is_empty(), "{manner}");
            let repeated = asked.len() - ids.len();
            assert!(repeated > 0, "{manner}: nothing was wrong");
            println!(
                "{manner}, {} at once: {repeated} of {} deliveries repeated, none lost",
                limits.notices,
                asked.len()
            );
        }
    }
}

#[tokio::test]
async fn those_that_are_not_taken_in_a_batch_hold_up_no_other() {
    let around = Surroundings::new();
    let answer = |id: &str, _: usize| if id.starts_with("blocked") { fails() } else { Outcome::Delivered };
    let outbox = around.open(batches(4), PACE, answer).await;
    // several batches of them, and then others, one of which is about a thing of which an earlier one is not taken
    let blocked: Vec<String> = (0..20).map(|number| format!("blocked{number:02}")).collect();
    put(&outbox, 0, &blocked.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let others: Vec<Notice> = (0..10).map(|number| notice(&format!("good{number}"), "t")).collect();
    outbox.put(interval(1), &others.iter().collect::<Vec<_>>()).await.unwrap();
    let mut left = outbox.left.subscribe();
    left.wait_for(|left| *left == 20).await.unwrap();
    let good: Vec<String> = around.asked().into_iter().filter(|id| id.starts_with("good")).collect();
    assert_eq!(good, (0..10).map(|number| format!("good{number}")).collect::<Vec<_>>(), "once each, in order");
    // the blocked ones are tried again and again
    around.asked.lock().unwrap().clear();
    while blocked.iter().any(|id| !around.asked().contains(id)) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn many_notices_of_an_interval_are_several_objects_and_keep_their_order() {
    let around = Surroundings::new();
    let outbox = around.open(batches(1), PACE, |_, _| down()).await;
    let text = "x".repeat(1_000_000);
    let large = |number: usize| Notice { long_text: text.clone(), ..notice(&format!("n{number:02}"), "t") };
    let notices: Vec<Notice> = (0..20).map(large).collect();
    for _ in 0..2 {
        outbox.put(interval(0), &notices.iter().collect::<Vec<_>>()).await.unwrap();
    }
    drop(outbox);
    let entries = around.state.list(OUTBOX).await.unwrap();
    assert!((3..=4).contains(&entries.len()), "{entries:?}");
    assert!(entries.iter().all(|entry| entry.size <= 8_000_000), "{entries:?}");
    let outbox = around.open(batches(1), PACE, |_, _| Outcome::Delivered).await;
    around.asked.lock().unwrap().clear();
    assert_eq!(outbox.drain(LONG, LONG).await, 0);
    assert_eq!(around.asked(), notices.iter().map(|notice| notice.id.clone()).collect::<Vec<_>>());
    assert!(around.names().await.is_empty());
}

#[tokio::test]
async fn what_the_newest_interval_brought_is_tried_however_large_it_is() {
    let around = Surroundings::new();
    let pace = Pace { outbox_bytes_max: 1_000_000, ..PACE };
    let limits = Limits { bytes: 100_000_000, ..batches(100) };
    let outbox = around.open(limits, pace, |_, _| Outcome::Delivered).await;
    let text = "x".repeat(900_000);
    let large = |number: usize| Notice { long_text: text.clone(), ..notice(&format!("n{number:02}"), "t") };
    // one object, and several, larger than what may wait
    for (number, count) in [(0, 3), (1, 20)] {
        let notices: Vec<Notice> = (0..count).map(|at| large(100 * usize::from(number == 1) + at)).collect();
        outbox.put(interval(number), &notices.iter().collect::<Vec<_>>()).await.unwrap();
        assert_eq!(outbox.drain(LONG, LONG).await, 0);
    }
    assert!(around.undelivered().await.0.is_empty());
    assert_eq!(around.asked().len(), 23);
}
