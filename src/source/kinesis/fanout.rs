//! Enhanced fan-out: a shard is subscribed to, and the service pushes its records for five minutes; then the
//! subscription is renewed. A subscriber has two megabytes a second of each shard for itself.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_kinesis::types::SubscribeToShardEvent;
use aws_sdk_kinesis::types::SubscribeToShardEventStream as Event;
use tokio::time::{Instant, timeout};

use super::faults::{Fault, event_fault_of};
use super::reader::{Reader, Stop};
use super::shards::Shard;
use super::stream::{Following, Place, read as answer_of};

const ACTION: &str = "SubscribeToShard";
/// A shard that gives no record for so long may have ended: not every server says so to a subscriber, and some say
/// nothing at all then.
const END_WAIT: Duration = Duration::from_secs(10);
/// The service tells every few seconds that there is nothing new; without a word for so many of those times a
/// subscription is dead.
const SILENCES_MAX: u32 = 3;

/// Reads a shard to its end and gives its children, as far as the server names them.
pub(super) async fn read(reader: &mut Reader, consumer: &str) -> Result<Vec<Shard>, Stop> {
    let shared = Arc::clone(&reader.shared);
    loop {
        reader.wait_for_others().await;
        let call = shared.stream.subscribe(&reader.shard, consumer, reader.place);
        let mut events = match reader.heard(call).await {
            Ok(subscription) => subscription.event_stream,
            Err(Fault::Invalid(message)) => {
                reader.refused(message).await?;
                continue;
            }
            Err(fault) => {
                reader.ride_out(ACTION, fault).await?;
                continue;
            }
        };
        reader.placed();
        let (mut last_record, mut silences) = (Instant::now(), 0);
        let fault = loop {
            reader.wait_for_others().await;
            match timeout(END_WAIT, events.recv()).await {
                Ok(Ok(Some(Event::SubscribeToShardEvent(event)))) => {
                    silences = 0;
                    if !event.records.is_empty() {
                        last_record = Instant::now();
                    }
                    match take(reader, event).await {
                        Ok(Following::Ended(children)) => return Ok(children),
                        Ok(Following::More(_)) => {}
                        Err(Interrupted::Stop(stop)) => return Err(stop),
                        Err(Interrupted::Fault(fault)) => break Some(fault),
                    }
                }
                Ok(Ok(Some(_))) => {}
                // its five minutes are over
                Ok(Ok(None)) => break None,
                Ok(Err(error)) => break Some(event_fault_of(&error, ACTION, shared.stream.name())),
                Err(_) => silences += 1,
            }
            if last_record.elapsed() >= END_WAIT {
                last_record = Instant::now();
                if let Some(children) = reader.ended().await {
                    return Ok(children);
                }
            }
            if silences == SILENCES_MAX {
                break Some(Fault::Passing("no event in time".to_owned()));
            }
        };
        if let Some(fault) = fault {
            reader.ride_out(ACTION, fault).await?;
        }
    }
}

/// Why a subscription is given up.
enum Interrupted {
    Stop(Stop),
    Fault(Fault),
}

/// Hands the records of an event on.
async fn take(reader: &mut Reader, event: SubscribeToShardEvent) -> Result<Following, Interrupted> {
    let SubscribeToShardEvent { records, continuation_sequence_number, millis_behind_latest, child_shards, .. } = event;
    let named = reader.shared.stream.children(child_shards);
    let continuation = continuation_sequence_number.parse().ok();
    // the last event names the children, and no place to go on from
    let next = match continuation {
        Some(_) if named.is_empty() => Following::More(continuation_sequence_number),
        _ => Following::Ended(named),
    };
    let bytes = records.iter().map(|record| record.data.as_ref().len()).sum();
    let answer = answer_of(&reader.shard, records, Some(millis_behind_latest), next).map_err(Interrupted::Fault)?;
    reader.succeeded();
    let (chunks, next) = reader.taken(answer);
    let permit = reader.shared.budget.take(bytes).await;
    reader.hand_on(chunks, permit).await.map_err(Interrupted::Stop)?;
    // it goes on even where no record comes; never back
    if let Some(sequence) = continuation
        && !matches!(reader.place, Place::After(read) if sequence <= read)
    {
        reader.place = Place::After(sequence);
    }
    Ok(next)
}
