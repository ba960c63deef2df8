//! `docs/reference/reports.md` and the reports say the same: every field is described, and no field is that does not exist.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::*;
use crate::majordomo::request::SCHEMA;

/// The fields that the page describes, by the heading above them.
fn described(page: &str) -> BTreeMap<String, BTreeSet<String>> {
    let sections = page.split("\n### ").skip(1);
    let named = sections.map(|section| {
        let (heading, rest) = section.split_once('\n').expect("a heading");
        let rows = rest.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
        (heading.trim_matches('`').to_owned(), rows.map(|(field, _)| field.to_owned()).collect())
    });
    named.collect()
}

/// The heading of what stands in a field.
fn heading(of: &str, field: &str, value: &Value) -> &'static str {
    match (of, field) {
        ("status", "steps") => "step state",
        ("why", "last_run") => "run",
        ("why", "failed") => "failed run",
        ("why", "now") if value["would"] == "run" => "would run",
        ("why", "now") => "would not run",
        ("trace", "observations") => "observation",
        ("trace", "outputs") => "output",
        ("graph", "edges") => "edge",
        ("run" | "would run", "causes") => "cause",
        ("would not run", "hidden") => "hidden change",
        ("would not run", "cut_off") => "cut-off",
        ("cause", "changes") => "change",
        ("cause", "key") => "key change",
        ("change", "before" | "now") => "sight",
        ("change", "names") => "names",
        _ => panic!("`{field}` of `{of}` holds objects, and no heading is named here"),
    }
}

/// Notes the fields of an object, and of all in it.
fn note(of: &str, value: &Value, found: &mut BTreeMap<String, BTreeSet<String>>) {
    let fields = value.as_object().expect("an object");
    let known = found.entry(of.to_owned()).or_insert_with(|| fields.keys().cloned().collect());
    assert!(known.iter().eq(fields.keys()), "`{of}` has not always the same fields: {known:?} {fields:?}");
    for (field, value) in fields {
        let all = match value {
            Value::Array(all) => &all[..],
            one => std::slice::from_ref(one),
        };
        for value in all.iter().filter(|value| value.is_object()) {
            note(heading(of, field, value), value, found);
        }
    }
}

#[test]
fn the_page_of_reports_describes_each_field_and_no_other() {
    let page = include_str!("../../../docs/reference/reports.md");
    assert!(page.contains(&format!("schema: {SCHEMA}\n")));
    let mut found = BTreeMap::new();
    let reports = [
        ("status", reports::status()),
        ("why", Report::Why(Box::new(why::would_run()))),
        ("why", Report::Why(Box::new(why::failed()))),
        ("why", Report::Why(Box::new(why::would_not_run()))),
        ("trace", Report::Trace(reports::trace())),
        ("graph", reports::graph()),
    ];
    for (name, sample) in reports {
        let command =
            format!("majordomo {name}{} --json", if matches!(name, "why" | "trace") { " x" } else { "" });
        let json: Value = serde_json::from_str(&run(&command, report(sample)).out).expect("JSON");
        assert_eq!((&json["report"], &json["schema"]), (&Value::from(name), &Value::from(SCHEMA)));
        note(name, &json, &mut found);
    }
    assert_eq!(found, described(page));
}
