//! The list of what can be set: variable, setter, default, values, meaning. From it come the lookup of variables,
//! what is said of a misspelt one, the documentation of each setter, and the tables of the READMEs.

use crate::last;
use crate::settings::Settings;
use crate::values;

/// One thing that can be set.
#[cfg_attr(not(test), allow(dead_code, reason = "the tables and the documentation have all of it"))]
pub(crate) struct Opt {
    /// Name in the environment.
    pub(crate) variable: &'static str,
    /// Method of [`Builder`](crate::Builder) of the same effect.
    pub(crate) setter: &'static str,
    pub(crate) default: &'static str,
    /// What the variable may be, with its unit.
    pub(crate) values: &'static str,
    pub(crate) meaning: &'static str,
    /// Sets it from the variable's value; `None` if that cannot be used.
    pub(crate) set: fn(&mut Settings, &str) -> Option<()>,
    /// Its value as the variable has it, for snapshots: of a token only whether there is one.
    pub(crate) show: fn(&Settings) -> String,
}

/// Declares the list, and a macro that documents a setter by its variable.
macro_rules! options {
    ($(
        $variable:ident by $setter:ident: $meaning:literal;
        default $default:literal, values $values:literal, |$settings:ident, $value:ident| $set:expr, shown $show:expr;
    )*) => {
        pub(crate) const OPTIONS: &[Opt] = &[$(Opt {
            variable: stringify!($variable),
            setter: stringify!($setter),
            default: $default,
            values: $values,
            meaning: $meaning,
            set: |$settings, $value| {
                $set;
                Some(())
            },
            show: |$settings| $show,
        }),*];

        /// Default, variable and values of a setter, as all of them say it.
        macro_rules! option_doc {
            $(($variable) => {
                concat!("\n\nDefault: ", $default, ". Variable: `", stringify!($variable), "`, ", $values, ".")
            };)*
        }
        pub(crate) use option_doc;
    };
}

options! {
    DIAG by enabled: "whether anything is recorded";
        default "on", values "on or off", |settings, value| settings.enabled = values::switch(value)?,
        shown values::shown_switch(settings.enabled);

    DIAG_ADDR by addr: "where the agent listens; `agent(false)` is off";
        default "127.0.0.1:9797, or the next free port", values "an address as 127.0.0.1:9797, or off",
        |settings, value| settings.addr = values::address(value)?,
        shown settings.addr.map_or("off".to_owned(), |addr| addr.to_string());

    DIAG_TOKEN by token: "the agent asks for it as `Authorization: Bearer`; with it, any `Host` will do";
        default "none", values "a text without blanks around it",
        |settings, value| settings.token = values::token(value),
        shown settings.token.as_ref().map_or("none", |_| "set").to_owned();

    DIAG_OPEN by open: "whether the agent may listen off loopback without a token";
        default "off", values "1 or 0", |settings, value| settings.open = values::switch(value)?,
        shown values::shown_switch(settings.open);

    DIAG_DIR by dir: "a folder that gets a snapshot every so often";
        default "none", values "a path", |settings, value| settings.dir = Some(value.into()),
        shown settings.dir.as_ref().map_or("none".to_owned(), |dir| dir.to_string_lossy().into_owned());

    DIAG_EVERY by every: "time between two snapshots in that folder";
        default "60s", values "a time as 30s, 5m or 1h", |settings, value| settings.every = values::duration(value)?,
        shown values::shown_duration(settings.every);

    DIAG_KEEP by keep: "snapshots of this service that stay in that folder";
        default "60", values "a number of files, at least 1",
        |settings, value| settings.keep = values::count(value)?,
        shown settings.keep.to_string();

    DIAG_LAST by last: "what a snapshot is taken before, or upon, that is kept apart in that folder";
        default "off", values "off, or some of limit, budget=400m, step=64m, pressure=20, signal=10, http, at=03:00, term, panic, exit",
        |settings, value| settings.last = last::list(value)?,
        shown last::shown(&settings.last);

    DIAG_HEAP by heap: "no heap samples, some, or every allocation (for tests)";
        default "sample", values "off, sample or full", |settings, value| settings.heap = values::heap(value)?,
        shown values::shown_heap(settings.heap);

    DIAG_HEAP_RATE by heap_rate: "mean bytes between two heap samples";
        default "512k", values "bytes between two samples, as 512k or 1m",
        |settings, value| settings.heap_rate_bytes = values::bytes(value)?,
        shown settings.heap_rate_bytes.to_string();

    DIAG_CENSUS by census: "whether tasks that libraries spawn are known, by a census of their memory; it needs `diag::Alloc`";
        default "on", values "on or off", |settings, value| settings.census = values::switch(value)?,
        shown values::shown_switch(settings.census);

    DIAG_PARKED by parked: "stacks a second that each thread may take of the tasks it polls, to know where they are parked";
        default "50000", values "passive, off, or a number of stacks a second and thread",
        |settings, value| settings.parked = values::parked(value)?,
        shown if settings.parked == 0 { "off".to_owned() } else { settings.parked.to_string() };

    DIAG_SIGNAL by signal: "the real-time signal that asks a held-up thread that runs for its stack";
        default "any without a handler", values "a number of a real-time signal, or off",
        |settings, value| settings.signal = values::signal(value)?,
        shown values::shown_signal(settings.signal);

    DIAG_TIMING by exact_timing: "time every poll precisely, not one in sixteen";
        default "sampled", values "sampled or exact",
        |settings, value| settings.exact_timing = values::timing(value)?,
        shown if settings.exact_timing { "exact" } else { "sampled" }.to_owned();

    DIAG_LABELS by resource_attribute: "key and value in every snapshot, as OpenTelemetry's resource attributes";
        default "none", values "key=value,key=value",
        |settings, value| settings.resource_attributes.extend(values::pairs(value)?),
        shown values::shown_pairs(&settings.resource_attributes);
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use diag_test_support::golden::assert_golden_part;

    use super::*;

    const BEGIN: &str = "<!-- The table is made by `DIAG_BLESS=1 cargo test -p diag --lib options`. -->\n";

    fn table() -> String {
        let row = |option: &Opt| {
            let Opt { variable, setter, default, values, meaning, .. } = option;
            format!("| `{variable}` | `{setter}` | {meaning} | {values} | {default} |\n")
        };
        let head = "| variable | in code | meaning | values | default |\n|---|---|---|---|---|\n";
        head.to_owned() + &OPTIONS.iter().map(row).collect::<String>()
    }

    #[test]
    fn the_readmes_have_the_list() {
        for name in ["README.md", "../../README.md"] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
            assert_golden_part(path, [BEGIN, "\n\n"], table().trim_end());
        }
    }

    #[test]
    fn each_setter_says_default_and_variable() {
        let builder = include_str!("builder.rs");
        for Opt { variable, setter, .. } in OPTIONS {
            let (_, from) = builder.split_once(&format!("option_doc!({variable})")).expect(variable);
            let method = from.split_once("pub fn ").map(|(_, method)| method);
            assert!(method.is_some_and(|method| method.starts_with(setter)), "{variable} is set by {setter}");
        }
    }
}
