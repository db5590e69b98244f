//! Lists of formats: each is a file of a folder, and a name in the list there.

/// Makes a module of each name, whose `Format` is then one of `ALL`, which `by_name` looks through. Such modules are not
/// found by `cargo fmt`: `.ci/run` formats them by name.
macro_rules! registry {
    ($Kind:ident: $($(#[$attribute:meta])* $module:ident,)*) => {
        $($(#[$attribute])* mod $module;)*

        /// All formats, in the order in which they are listed.
        pub const ALL: &[&dyn $Kind] = &[$($(#[$attribute])* &$module::Format,)*];

        /// The format of this name.
        pub fn by_name(name: &str) -> Option<&'static dyn $Kind> {
            ALL.iter().copied().find(|format| format.name() == name)
        }
    };
}

pub(crate) use registry;

/// Holds the names of formats, and what is said of each, against what a command line can print, and against what is said of
/// the format that is found by the name.
#[cfg(test)]
pub(crate) fn check_names<'a>(
    formats: impl Iterator<Item = (&'a str, &'a str)>,
    by_name: impl Fn(&str) -> Option<&'a str>,
) {
    assert_eq!(by_name("gif"), None);
    let mut names = std::collections::BTreeSet::new();
    for (name, about) in formats {
        let is_plain = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit();
        assert!(!name.is_empty() && name.chars().all(is_plain), "{name}");
        assert!(!about.is_empty() && !about.contains('\n') && about.len() < 100, "{name}: {about}");
        assert!(names.insert(name), "{name} is there twice");
        assert_eq!(by_name(name), Some(about), "{name}");
    }
}
