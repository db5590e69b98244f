//! Labels of tasks: what each is for.

use super::task::TaskId;
use crate::schema::table;
use crate::strings::StringIndex;

table! {
    /// A label of a live task: its own, or inherited from the task or scope that it was spawned in. A task has several with
    /// different keys, or none.
    LabelRow in labels, since 1.9 {
        /// Which task.
        task: TaskId as Delta;
        /// What kind of thing the task is for, `device` for instance.
        key: StringIndex as Delta;
        /// Which of them.
        value: StringIndex as Delta;
    }
}
