//! Command-line values that several programs here share.

use std::time::Duration;

/// A time span given in seconds, for clap.
///
/// # Errors
/// If it is no number, shorter than a second, in which nothing happens, or longer than a clock can count.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "give a number of seconds".to_owned())?;
    let span = Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?;
    if span < Duration::from_secs(1) { Err("give at least one second".to_owned()) } else { Ok(span) }
}
