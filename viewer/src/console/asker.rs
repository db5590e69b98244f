//! Asks the agent of a service, while somebody wants to know.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::Options;
use super::feed::Feed;
use super::moment::Moment;
use super::process::ProcessNumbers;
use diag_analysis::human;

/// A service that takes long to answer is asked less often: it is busy with us for a tenth of the time at the most.
const REST: u32 = 9;
/// Between questions that nobody answers.
const LONGEST_GAP: Duration = Duration::from_secs(10);
/// So long it takes at the most to see whether anybody listens.
const KNOCK_WITHIN: Duration = Duration::from_secs(3);

/// Asks for as long as it is polled.
pub(super) async fn ask(options: &Options, feed: &Feed) {
    let mut numbers = ProcessNumbers::default();
    let mut missed = 0;
    loop {
        feed.is_wanted().await;
        let asked = Instant::now();
        let gap = match moment(options, numbers).await {
            (Ok((moment, answered_in)), known) => {
                numbers = known;
                if missed > 0 {
                    (options.say)(&format!("{} answers again", options.agent.authority()));
                }
                missed = 0;
                feed.publish(Arc::new(moment));
                options.every.max(answered_in.saturating_mul(REST))
            }
            (Err(why), known) => {
                numbers = known;
                missed += 1;
                let gap = gap(options.every, missed);
                if missed == 1 {
                    let next = human::duration(gap.as_nanos() as u64);
                    (options.say)(&format!("{why}; it is asked again in {next}, then less often"));
                }
                // One that is busy has not ended.
                if options.agent.knock(KNOCK_WITHIN).await.is_err() {
                    feed.end_process();
                }
                gap
            }
        };
        let rest = gap.saturating_sub(asked.elapsed());
        _ = timeout(rest, feed.stirred()).await;
    }
}

/// Twice as long after each question that nobody answered.
fn gap(every: Duration, missed: u32) -> Duration {
    let doubled = every.saturating_mul(1_u32.checked_shl(missed.min(31)).unwrap_or(u32::MAX));
    doubled.min(LONGEST_GAP.max(every))
}

/// The service now, and how long it took to answer. The answer is read where that holds up nobody.
async fn moment(
    options: &Options,
    mut numbers: ProcessNumbers,
) -> (Result<(Moment, Duration), String>, ProcessNumbers) {
    let asked = Instant::now();
    let answer = options.agent.tasks(options.token.as_deref(), options.within).await;
    let bytes = match answer {
        Ok(bytes) => bytes,
        Err(why) => return (Err(why), numbers),
    };
    let (answered_in, authority) = (asked.elapsed(), options.agent.authority().to_owned());
    let read = spawn_blocking(move || {
        let moment = match diag_snapshot::read(&bytes) {
            Ok((snapshot, _)) => Ok((Moment::of(snapshot, &mut numbers), answered_in)),
            Err(error) => Err(format!("the answer of {authority} is no snapshot: {error}")),
        };
        (moment, numbers)
    });
    read.await.unwrap_or_else(|error| (Err(error.to_string()), ProcessNumbers::default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_grow_up_to_a_bound() {
        let gaps = [1, 2, 3, 4, 5, 1_000].map(|missed| gap(Duration::from_secs(1), missed).as_secs());
        assert_eq!(gaps, [2, 4, 8, 10, 10, 10]);
        assert_eq!(gap(Duration::from_secs(60), 1), Duration::from_secs(60));
        assert_eq!(gap(Duration::MAX, u32::MAX), Duration::MAX);
    }
}
