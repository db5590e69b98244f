//! A place in the code, as a person writes it into a policy.

use diag_analysis::human;
use diag_analysis::source_location::SourceLocation;

use super::subject::Subject;

/// A file, `file:line`, `file:line:column`, or the name of a function or of a task's future. The file may lack folders at
/// its start, the name modules; `{{closure}}` at its end may be left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place(String);

impl Place {
    /// Returns the place that a text names; none if it is empty.
    pub fn of(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Place(text.to_owned()))
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True if a finding is about this place.
    pub fn is_of(&self, subject: &Subject) -> bool {
        let name = match (subject.site(), subject.function()) {
            (Some(site), _) => site.type_name.as_str(),
            (_, Some(SourceLocation { function, .. })) => function,
            (None, None) => return false,
        };
        self.is_location(&subject.location()) || self.is_name(name)
    }

    /// `src/a.rs:9` is `src/a.rs:9:5` and `/home/me/svc/src/a.rs:9`, and not `src/a.rs:95`.
    fn is_location(&self, location: &str) -> bool {
        let begins = |rest: &str| {
            rest.strip_prefix(self.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
        };
        begins(location) || location.match_indices('/').any(|(at, _)| begins(&location[at + 1..]))
    }

    fn is_name(&self, name: &str) -> bool {
        let bare = name.trim_end_matches("::{{closure}}");
        let is = |name: &str| {
            name == self.0 || name.strip_suffix(&self.0).is_some_and(|rest| rest.ends_with("::"))
        };
        is(name) || is(bare) || human::name(name) == self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::Site;
    use crate::rules::subject::ProcessPart;

    #[test]
    fn a_place_is_a_location_or_a_name() {
        let (file, type_name) =
            ("/home/me/svc/src/a.rs".to_owned(), "svc::hub::serve::{{closure}}".to_owned());
        let site = Subject::SpawnSite(Site { file, line: 9, column: 5, type_name });
        let is = |text: &str| Place::of(text).is_some_and(|place| place.is_of(&site));
        for text in
            ["src/a.rs:9", "a.rs:9:5", "src/a.rs", "svc::hub::serve", "hub::serve", "serve::{{closure}}"]
        {
            assert!(is(text), "{text}");
        }
        for text in
            ["src/a.rs:95", "src/a.rs:9:51", "c/a.rs:9", "a.r", "rve", "svc::hub", "hub::serve::x", " "]
        {
            assert!(!is(text), "{text}");
        }
        let whole = Subject::Process(ProcessPart::UntrackedTasks);
        assert!(!Place::of("(untracked)").is_some_and(|place| place.is_of(&whole)));
    }
}
