//! What a task runs, from the call stack of its spawn.
//!
//! tokio makes a task's cell in `Cell::new::<F, S>`, and debug info has the future's type `F` with the name of that function:
//! it is inlined, so no other one of the same code stands for it. Where the future is boxed, so that one function serves many,
//! whoever boxed it has the type. Without line tables no type is known.

use crate::runtime_frames::Owner;
use crate::source_location::{SourceLocation, outside_brackets};

/// The type of the future as people call it: `hyper::proto::h2::client::ConnTask`; none if it is not known. Of a stack, the
/// innermost function first.
pub(crate) fn future_name(stack: &[&SourceLocation]) -> Option<String> {
    let cell =
        stack.iter().position(|place| place.function.starts_with("tokio::runtime::task::core::Cell<"))?;
    let of_cell = last_argument_list(&stack[cell].function)?;
    let boxed = || {
        let outside = stack[cell..].iter().filter(|place| Owner::of(place) >= Owner::Library);
        outside.take(LOOKS).filter_map(|place| last_argument_list(&place.function)).find_map(name_of)
    };
    name_of(of_cell).or_else(boxed)
}

/// Functions outside of the runtime that are asked for the type of what is boxed.
const LOOKS: usize = 3;

/// What stands around a future that does the work: what it wraps is more of a name.
const WRAPPERS: [&str; 10] = [
    "core::pin::Pin",
    "alloc::boxed::Box",
    "futures_util::future::",
    "tracing::instrument::",
    "tracing_futures::",
    "opentelemetry::context::",
    "tokio::runtime::blocking::task::BlockingTask",
    "tokio_util::task::",
    "tokio_metrics::task::",
    "diag::task::",
];

/// Of the first of these types; none if it may be any.
fn name_of(arguments: &str) -> Option<String> {
    let first = first_argument(arguments);
    if is_any(first) {
        return None;
    }
    if WRAPPERS.iter().any(|wrapper| first.starts_with(wrapper))
        && let Some(inside) = last_argument_list(first)
    {
        return name_of(inside);
    }
    Some(plain(first))
}

/// The type inside of all [`WRAPPERS`] of this one; none without any, or if it may be any.
pub(crate) fn unwrapped(type_name: &str) -> Option<&str> {
    let mut name = type_name;
    while WRAPPERS.iter().any(|wrapper| name.starts_with(wrapper)) {
        name = first_argument(last_argument_list(name)?);
    }
    let is_one = !is_any(name) && name.len() < type_name.len();
    is_one.then_some(name)
}

/// True of what may be any type.
fn is_any(name: &str) -> bool {
    name.starts_with("(dyn ") || name.starts_with("dyn ") || is_parameter(name)
}

/// `T`, as a function has it whose parameters are not written out.
fn is_parameter(argument: &str) -> bool {
    argument.len() <= 2 || argument.starts_with("impl ")
}

/// `A, B` of `path::name<A, B>`, if it ends so.
fn last_argument_list(name: &str) -> Option<&str> {
    let inside = name.strip_suffix('>')?;
    // The last bracket that opens outside of all others.
    let open = outside_brackets(name).filter(|(_, rest)| rest.starts_with('<')).last()?.0;
    inside.get(open + 1..)
}

/// `A` of `A, B`.
fn first_argument(arguments: &str) -> &str {
    let end = outside_brackets(arguments).find(|(_, rest)| rest.starts_with(',')).map(|(at, _)| at);
    &arguments[..end.unwrap_or(arguments.len())]
}

/// `shop::serve::{{closure}}` of `shop::serve::{async_fn_env#0}<u8>`.
pub(crate) fn plain(name: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in segments_of(name) {
        match segment {
            _ if segment.starts_with("{impl#") => {}
            _ if segment.starts_with("{async") || segment.starts_with("{closure") => {
                segments.push("{{closure}}")
            }
            _ => segments.push(segment.split('<').next().unwrap_or(segment)),
        }
    }
    segments.retain(|segment| !segment.is_empty());
    segments.join("::")
}

/// The parts of a path, whose brackets may hold paths as well.
fn segments_of(name: &str) -> Vec<&str> {
    let mut segments = Vec::new();
    let mut from = 0;
    for (at, rest) in outside_brackets(name) {
        if rest.starts_with("::") && at >= from {
            segments.push(&name[from..at]);
            from = at + 2;
        }
    }
    segments.push(&name[from..]);
    segments
}

#[cfg(test)]
mod tests {
    use super::*;

    const CELL: &str = "tokio::runtime::task::core::Cell<T,S>::new<";
    const HANDLE: &str =
        ", alloc::sync::Arc<tokio::runtime::scheduler::multi_thread::handle::Handle, alloc::alloc::Global>>";

    fn name(functions: &[String]) -> Option<String> {
        let place = |function: &String| {
            // As all that is in no list of crates.
            let file = Some("/r/registry/src/i/some-1.0.0/src/lib.rs".into());
            SourceLocation { function: function.as_str().into(), file, line: None }
        };
        let places: Vec<SourceLocation> = functions.iter().map(place).collect();
        future_name(&places.iter().collect::<Vec<_>>())
    }

    #[test]
    fn the_type_is_that_of_the_cell() {
        let check = |future: &str, expected: &str| {
            assert_eq!(name(&[format!("{CELL}{future}{HANDLE}")]).as_deref(), Some(expected), "{future}");
        };
        check("lib::serve::{async_fn_env#0}", "lib::serve::{{closure}}");
        check(
            "axum::serve::handle_connection::{async_fn#0}::{async_block_env#3}<a::B<()>, c::D>",
            "axum::serve::handle_connection::{{closure}}::{{closure}}",
        );
        check(
            "hyper_util::client::legacy::client::{impl#1}::connect_to::{closure_env#0}<u8, u8>",
            "hyper_util::client::legacy::client::connect_to::{{closure}}",
        );
        check(
            "tracing::instrument::Instrumented<core::pin::Pin<alloc::boxed::Box<shop::Work<u8>, alloc::alloc::Global>>>",
            "shop::Work",
        );
        check(
            "tokio::runtime::blocking::task::BlockingTask<shop::hash::{closure_env#0}>",
            "shop::hash::{{closure}}",
        );
    }

    #[test]
    fn of_what_is_boxed_whoever_boxed_it_knows_the_type() {
        let boxed = "core::pin::Pin<alloc::boxed::Box<(dyn core::future::future::Future<Output=()> + core::marker::Send), alloc::alloc::Global>>";
        let cell = format!("{CELL}{boxed}{HANDLE}");
        let spawn = format!("tokio::task::spawn::spawn<{boxed}>");
        let execute = "hyper_util::common::exec::execute<futures_util::future::future::Map<futures_util::future::try_future::MapErr<hyper::client::conn::http1::upgrades::UpgradeableConnection<r::Conn, r::Body>, c::E>, c::F>>";
        let trait_of = "<hyper_util::rt::tokio::TokioExecutor as hyper::rt::Executor<Fut>>::execute";
        let stack = [cell.clone(), spawn.clone(), trait_of.to_owned(), execute.to_owned()];
        let expected = "hyper::client::conn::http1::upgrades::UpgradeableConnection";
        assert_eq!(name(&stack).as_deref(), Some(expected));
        assert_eq!(name(&[cell, spawn, trait_of.to_owned()]), None);
        assert_eq!(name(&["shop::main".to_owned()]), None);
        assert_eq!(name(&[format!("{CELL}T, S>")]), None, "a symbol's name has no types");
    }

    #[test]
    fn any_text_is_a_name() {
        for text in ["", "<", ">", "::", "a<b", "a>::<", "{impl#", "a::<é, ", "->", "(dyn "] {
            let _ = (
                plain(text),
                unwrapped(text),
                unwrapped(&format!("core::pin::Pin{text}")),
                first_argument(text),
                last_argument_list(text),
                name_of(text),
            );
            let _ = name(&[format!("{CELL}{text}"), format!("{CELL}{text}>")]);
        }
    }
}
