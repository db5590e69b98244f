//! Words of the executable and of libraries that can be written, and that hold something.

use super::stack::ModuleIndex;
use crate::schema::table;
use crate::strings::StringIndex;

table! {
    /// A word of a `static`, or of what a library of another language has as one.
    StaticRow in statics, since 1.13 {
        /// Its number in this snapshot.
        id: u64 as Ascending;
        /// The executable or library that it lies in.
        module: ModuleIndex as Plain;
        /// Offset from the module's base.
        offset: u64 as Delta;
        /// The name of the static, if who wrote the snapshot knew it.
        symbol: Option<StringIndex> as Plain;
    }
}
