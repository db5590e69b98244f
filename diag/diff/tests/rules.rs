//! What the rules declare, and `VERDICTS.md`, which is made of it; `DIAG_BLESS=1` rewrites its part.

use std::collections::BTreeSet;
use std::path::Path;

use diag_diff::report::explain::RuleView;
use diag_diff::rules::{RULES, by_name};
use diag_test_support::golden::assert_golden_part;

const BEGIN: &str = "<!-- rules: made of what the rules declare, by `DIAG_BLESS=1 cargo test -p diag-diff --test rules` -->\n";

#[test]
fn every_rule_has_a_name_of_its_own_and_says_what_it_is() {
    let names: BTreeSet<_> = RULES.iter().map(|rule| rule.name()).collect();
    assert_eq!(names.len(), RULES.len(), "{names:?}");
    for rule in RULES {
        let name = rule.name();
        assert!(
            !name.is_empty() && name.chars().all(|char| char.is_ascii_lowercase() || char == '-'),
            "{name}"
        );
        assert!(by_name(name).is_some_and(|found| found.says() == rule.says()), "{name}");
        assert!(!rule.categories().is_empty(), "{name}");
        for better in rule.yields_to() {
            assert!(*better != name && by_name(better).is_some(), "{name} yields to {better}");
        }
        assert!(!rule.says().ends_with('.') && rule.says().len() < 120, "{name}: {}", rule.says());
        for expected in ["**Found when**", "**Silent twin"] {
            assert!(rule.doc().contains(expected), "{name} does not say {expected}");
        }
        for param in rule.params() {
            assert!(param.kind.takes(param.default), "{name}: {}", param.name);
            assert!(param.doc.ends_with('.'), "{name}: {}", param.doc);
        }
    }
    assert!(by_name("task_leak").is_none());
}

/// What a line makes words with.
fn words_made(line: &str) -> Option<&'static str> {
    ["format!", "human::", "to_string("].into_iter().find(|made| line.contains(made))
}

/// Each rule states facts in a file of its name.
#[test]
fn no_rule_makes_words() {
    for rule in RULES {
        let name = format!("src/rules/{}.rs", rule.name().replace('-', "_"));
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(&name);
        let source = std::fs::read_to_string(path).expect("a rule has a file of its own");
        assert_eq!(source.lines().find_map(words_made), None, "{name}");
    }
    assert_eq!(words_made(r#"evidence.push(format!("{tasks} tasks"));"#), Some("format!"));
}

#[test]
fn the_document_says_what_the_rules_declare() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("VERDICTS.md");
    let sections: String = RULES.iter().map(|rule| RuleView::of(*rule).markdown() + "\n").collect();
    assert_golden_part(path, [BEGIN, "<!-- end of rules -->"], &format!("\n{sections}"));
}
