//! [`Risk`] in words.

use std::fmt;

use diag_analysis::human;

use super::{count, time};
use crate::rules::fact::{BytesPerSecond, PerSecond};
use crate::rules::risk::Risk;

const DAY_S: f64 = 86_400.0;

impl fmt::Display for Risk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Risk::*;
        f.write_str(match self {
            WorkerIsKept => "tasks of that worker wait until it returns, timers and connections included",
            CpuIsKept => {
                "it takes up a CPU for as long as it lives, and the other tasks of its worker run late"
            }
            CpuIsTaken => "a CPU is taken up, which other threads of the machine wait for",
            ShutdownWaits => "a shutdown waits for them, and who asked may take them for gone",
            CleanUpWaits => "whoever waits until the group is empty waits for them, and what they have half done stays so",
            WaitersPileUp => "whoever needs the same comes to wait behind them, and the service stands still",
            CallersWait => "whoever waits for one of these waits as long, and more of them are there at once",
            NeverGivenBack => {
                "they never run again, and what they hold, locks and permits included, is never given back"
            }
            ResourcesKept => "they are kept until the process ends, and whoever needs one of their kind has as many fewer",
            NextOnesWait => "without that poll they would wait on; the next ones to miss a wake-up do",
            EndedTasksAdd => {
                "every ended task adds its cell and its output, and no count of live tasks shows it"
            }
            KeptByHolder => "the memory is kept for as long as its holder is",
            MemoryKeptByHolder => {
                "the memory is kept for as long as its holder is, and what else the process needs comes on top"
            }
            TasksKept => "memory and whatever the tasks hold is not given back until the process ends",
            WorkIsMissing => "what these tasks are there for is not done, and nothing says so",
            TasksGrow { tasks: PerSecond(rate), future } => {
                let a_day = (rate * DAY_S) as u64;
                return write!(
                    f,
                    "at this rate {} more tasks a day, {} for their futures alone, and what they hold comes on top",
                    human::count(a_day),
                    human::bytes(a_day.saturating_mul(future.0))
                );
            }
            DescriptorsRunOut { limit, after } => {
                return write!(
                    f,
                    "at this rate the limit of {} open files is met in {}, and then nothing can be opened or accepted",
                    count(limit),
                    time(after)
                );
            }
            GaugeGrows { more: PerSecond(rate) } => {
                return write!(f, "at this rate {} more a day", human::count((rate * DAY_S) as u64));
            }
            NoName => "a leak in a task that is not tracked has no name",
            MemoryKept => "memory is not given back until the process ends",
            MemoryGrows { growth } => return f.write_str(&at_rate(*growth)),
            MemoryRunsOut { growth, limit, after, earliest, latest } => {
                let (rate, limit, after) = (at_rate(*growth), human::bytes(limit.0), time(after));
                write!(f, "{rate}: the limit of {limit} is met in {after}")?;
                let (earliest, latest) = (time(earliest), time(latest));
                return if earliest == latest { Ok(()) } else { write!(f, " ({earliest} to {latest})") };
            }
        })
    }
}

fn at_rate(BytesPerSecond(rate): BytesPerSecond) -> String {
    let size = |bytes: f64| human::bytes(bytes.max(0.0) as u64);
    format!("at this rate, {} a second, {} a day", size(rate), size(rate * DAY_S))
}
