//! YAML, by its events. What a plain scalar means – a number, `yes`, a date – differs from reader to reader, so a plain one
//! is its text, and never equal to a quoted one. Anchors, several documents and keys that are no scalars are left alone.

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};

use super::MAX_DEPTH;
use super::canonical::Value;

/// What is open.
enum Open {
    List(Vec<Value>),
    /// The entries, and the key that waits for its value.
    Map(Vec<(String, Value)>, Option<Key>),
}

struct Key {
    text: String,
    quoted: bool,
}

impl Key {
    /// The entry; a quoted key may be another one than the same text plain, and found it is by either.
    fn with(self, value: Value) -> (String, Value) {
        let value = if self.quoted { Value::Tagged("quoted key".to_owned(), Box::new(value)) } else { value };
        (self.text, value)
    }
}

pub(super) fn parse(text: &str) -> Option<Value> {
    let mut open: Vec<(Open, Option<String>)> = Vec::new();
    let mut document = None;
    let mut documents = 0;
    for event in Parser::new_from_str(text) {
        let (event, _) = event.ok()?;
        let value = match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => continue,
            Event::DocumentStart(_) => {
                documents += 1;
                if documents > 1 {
                    return None;
                }
                continue;
            }
            Event::Scalar(text, style, 0, tag) => {
                let text = text.into_owned();
                let value = match style {
                    ScalarStyle::Plain => Value::Other("plain", text),
                    _ => Value::Text(text),
                };
                tagged(tag.as_deref().map(full_name), value)
            }
            Event::SequenceStart(0, tag) => {
                open.push((Open::List(Vec::new()), tag.as_deref().map(full_name)));
                if open.len() > MAX_DEPTH { return None } else { continue }
            }
            Event::MappingStart(0, tag) => {
                open.push((Open::Map(Vec::new(), None), tag.as_deref().map(full_name)));
                if open.len() > MAX_DEPTH { return None } else { continue }
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let (closed, tag) = open.pop()?;
                let value = match closed {
                    Open::List(items) => Value::List(items),
                    Open::Map(entries, None) => Value::map(entries)?,
                    Open::Map(_, Some(_)) => return None,
                };
                tagged(tag, value)
            }
            // An anchor, or what refers to one.
            _ => return None,
        };
        match open.last_mut() {
            None => document = Some(value),
            Some((Open::List(items), _)) => items.push(value),
            Some((Open::Map(entries, key), _)) => match (key.take(), value) {
                (Some(before), value) => entries.push(before.with(value)),
                // What is merged in would have to be looked through too.
                (None, Value::Other(_, text)) if text == "<<" => return None,
                (None, Value::Text(text)) => *key = Some(Key { text, quoted: true }),
                (None, Value::Other(_, text)) => *key = Some(Key { text, quoted: false }),
                (None, _) => return None,
            },
        }
    }
    document
}

fn full_name(tag: &Tag) -> String {
    format!("{}{}", tag.handle, tag.suffix)
}

fn tagged(tag: Option<String>, value: Value) -> Value {
    match tag {
        Some(tag) => Value::Tagged(tag, Box::new(value)),
        None => value,
    }
}
