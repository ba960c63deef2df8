//! The JSON Schema of the reference, held against the golden files: what they say it allows, and what they lack it misses.

use serde_json::Value;

const SCHEMA: &str = include_str!("../../../docs/reference/chef-protocol.schema.json");

const GOLDEN: [&str; 11] = [
    include_str!("golden/detect.request.json"),
    include_str!("golden/plan.request.json"),
    include_str!("golden/replan.request.json"),
    include_str!("golden/project.request.json"),
    include_str!("golden/normalise.request.json"),
    include_str!("golden/explain.request.json"),
    include_str!("golden/detect.answer.json"),
    include_str!("golden/plan.answer.json"),
    include_str!("golden/project.answer.json"),
    include_str!("golden/normalise.answer.json"),
    include_str!("golden/explain.answer.json"),
];

/// Whether a value is as a schema wants it, as far as our schema's words go; an unknown word is a fault of this function.
fn fits(root: &Value, schema: &Value, value: &Value) -> bool {
    let number = |bound: &Value| bound.as_i64().unwrap();
    let all = |schemas: &Value| -> Vec<bool> {
        schemas.as_array().unwrap().iter().map(|schema| fits(root, schema, value)).collect()
    };
    schema.as_object().unwrap().iter().all(|(word, says)| match word.as_str() {
        "$schema" | "$defs" | "title" | "description" => true,
        "$ref" => fits(root, root.pointer(&says.as_str().unwrap()[1..]).unwrap(), value),
        "const" => value == says,
        "oneOf" => all(says).into_iter().filter(|fits| *fits).count() == 1,
        "allOf" => all(says).into_iter().all(|fits| fits),
        "type" => match says {
            Value::Array(kinds) => kinds.iter().any(|kind| is_a(value, kind.as_str().unwrap())),
            kind => is_a(value, kind.as_str().unwrap()),
        },
        "required" => says.as_array().unwrap().iter().all(|key| value.get(key.as_str().unwrap()).is_some()),
        "properties" => says
            .as_object()
            .unwrap()
            .iter()
            .all(|(key, schema)| value.get(key).is_none_or(|value| fits(root, schema, value))),
        "items" => value.as_array().unwrap().iter().all(|value| fits(root, says, value)),
        "minimum" => value.as_i64().unwrap() >= number(says),
        "maximum" => value.as_i64().unwrap() <= number(says),
        word => panic!("the schema says `{word}`"),
    })
}

fn is_a(value: &Value, kind: &str) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64(),
        "null" => value.is_null(),
        kind => panic!("the schema says `{kind}`"),
    }
}

#[test]
fn the_golden_files_are_what_the_schema_says() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    for golden in GOLDEN {
        let value: Value = serde_json::from_str(golden).unwrap();
        assert!(fits(&schema, &schema, &value), "{golden}");
        // Whatever the types cannot do without, the schema cannot either, and the other way round.
        for key in value.as_object().unwrap().keys() {
            let mut less = value.clone();
            less.as_object_mut().unwrap().remove(key);
            let line = less.to_string();
            let is_read = match value.get("request") {
                Some(_) => super::Request::read(line.as_bytes()).is_ok(),
                None => super::Answer::read(line.as_bytes()).is_ok(),
            };
            assert_eq!(fits(&schema, &schema, &less), is_read, "without `{key}`: {golden}");
        }
    }
    let wrong = serde_json::json!({ "protocol": 1, "answer": "detect", "sure": 101 });
    assert!(!fits(&schema, &schema, &wrong));
    let unknown = serde_json::json!({ "protocol": 1, "request": "sing" });
    assert!(!fits(&schema, &schema, &unknown));
}
