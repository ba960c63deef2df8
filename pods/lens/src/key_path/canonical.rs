//! The canonical form: RFC 8785 (JSON Canonicalization Scheme), for values that JSON lacks too.
//!
//! Own code rather than one of the crates for RFC 8785: those take numbers as the nearest double, so that two versions of a
//! file that a reader can tell apart – 9007199254740993 and …992 – would be one. Here a number is written as RFC 8785 lays
//! it out, but with all the digits that it has; where a double has them all, the two forms agree. What JSON has no
//! word for stands unquoted behind a `!`, which no JSON text does. Key order is that of UTF-16, as there.

/// A value of a structured file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    /// In the form that [`number`] gives.
    Number(String),
    Text(String),
    List(Vec<Value>),
    /// Sorted, each key once: made by [`Value::map`].
    Map(Vec<(String, Value)>),
    /// A type that JSON has no word for, and its text.
    Other(&'static str, String),
    /// A tag, and what it stands before.
    Tagged(String, Box<Value>),
}

impl Value {
    /// A map; `None` if a key comes twice.
    pub fn map(mut entries: Vec<(String, Value)>) -> Option<Self> {
        entries.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
        let twice = entries.windows(2).any(|pair| pair[0].0 == pair[1].0);
        (!twice).then_some(Value::Map(entries))
    }

    /// The value of a key, or of a place in a list, counted from 0.
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Value::Map(entries) => entries.iter().find(|(name, _)| name == key).map(|(_, value)| value),
            Value::List(items) => {
                let place: usize = key.parse().ok()?;
                items.get(place).filter(|_| place.to_string() == key)
            }
            Value::Tagged(_, value) => value.get(key),
            _ => None,
        }
    }

    /// The canonical text; never empty.
    pub fn canonical(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        match self {
            Value::Null => out.push_str("null"),
            Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Value::Number(number) => out.push_str(number),
            Value::Text(text) => quote(text, out),
            Value::List(items) => {
                out.push('[');
                for (place, item) in items.iter().enumerate() {
                    out.push_str(if place == 0 { "" } else { "," });
                    item.write(out);
                }
                out.push(']');
            }
            Value::Map(entries) => {
                out.push('{');
                for (place, (key, value)) in entries.iter().enumerate() {
                    out.push_str(if place == 0 { "" } else { "," });
                    quote(key, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
            Value::Other(kind, text) => {
                out.push('!');
                out.push_str(kind);
                out.push(' ');
                quote(text, out);
            }
            Value::Tagged(tag, value) => {
                out.push_str("!tag ");
                quote(tag, out);
                out.push(' ');
                value.write(out);
            }
        }
    }
}

/// RFC 8785, 3.2.2.2: the two-letter escapes, `\u00xx` in lower case for other control characters, all else as it is.
fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            c if c < ' ' => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.push_str("\\u00");
                out.push(char::from(HEX[c as usize >> 4]));
                out.push(char::from(HEX[c as usize & 15]));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// A key as a part of a path: bare where TOML would take it so, else quoted.
pub(super) fn key(text: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !text.is_empty() && text.chars().all(is_bare) {
        return text.to_owned();
    }
    let mut out = String::new();
    quote(text, &mut out);
    out
}

/// A decimal number as JSON writes it, in the layout of RFC 8785 (that of ECMAScript), with all its digits; the sign
/// of zero stays. `None` if it is none, or its exponent is beyond all reason.
pub(super) fn number(text: &str) -> Option<String> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (rest, 0),
    };
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(part) {
        return None;
    }
    let all = format!("{whole}{part}");
    let digits = all.trim_start_matches('0');
    let leading = all.len() - digits.len();
    let digits = digits.trim_end_matches('0');
    let sign = if negative { "-" } else { "" };
    if digits.is_empty() {
        return Some(format!("{sign}0"));
    }
    let count = i64::try_from(digits.len()).ok()?;
    // The value is 0.DIGITS × 10^point.
    let point = i64::try_from(whole.len()).ok()? - i64::try_from(leading).ok()? + i64::from(exponent);
    let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or_default());
    Some(match point {
        point if (count..=21).contains(&point) => format!("{sign}{digits}{}", zeros(point - count)),
        point @ 1..=21 => {
            let (whole, part) = digits.split_at(usize::try_from(point).ok()?);
            format!("{sign}{whole}.{part}")
        }
        point @ -5..=0 => format!("{sign}0.{}{digits}", zeros(-point)),
        point => {
            let (first, rest) = digits.split_at(1);
            let dot = if rest.is_empty() { "" } else { "." };
            format!("{sign}{first}{dot}{rest}e{}{}", if point > 0 { "+" } else { "" }, point - 1)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8785, 3.2.2 and 3.2.3: the samples of the specification.
    #[test]
    fn samples_of_the_rfc() {
        let value = Value::map(vec![
            (
                "numbers".into(),
                Value::List(
                    ["333333333.33333329", "1E30", "4.50", "2e-3", "0.000000000000000000000000001"]
                        .iter()
                        .map(|text| Value::Number(number(text).unwrap()))
                        .collect(),
                ),
            ),
            ("string".into(), Value::Text("\u{20ac}$\u{f}\nA'B\"\\\\\"/".into())),
            ("literals".into(), Value::List(vec![Value::Null, Value::Bool(true), Value::Bool(false)])),
        ]);
        assert_eq!(
            value.unwrap().canonical(),
            "{\"literals\":[null,true,false],\"numbers\":[333333333.33333329,1e+30,4.5,0.002,1e-27],\
             \"string\":\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}"
        );
        let keys = ["\u{20ac}", "\r", "\u{fb33}", "1", "\u{1f600}", "\u{80}", "\u{f6}"];
        let Some(Value::Map(sorted)) =
            Value::map(keys.iter().map(|key| ((*key).to_owned(), Value::Null)).collect())
        else {
            panic!("no key comes twice")
        };
        let sorted: Vec<&str> = sorted.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(sorted, ["\r", "1", "\u{80}", "\u{f6}", "\u{20ac}", "\u{1f600}", "\u{fb33}"]);
    }

    #[test]
    fn numbers_are_laid_out_as_ecmascript_does() {
        let cases = [
            ("0", "0"),
            ("-0.0", "-0"),
            ("0e9", "0"),
            ("10", "10"),
            ("1e2", "100"),
            ("1.0", "1"),
            ("-1.20", "-1.2"),
            ("1e20", "100000000000000000000"),
            ("1e21", "1e+21"),
            ("123456789012345678901", "123456789012345678901"),
            ("1234567890123456789012", "1.234567890123456789012e+21"),
            ("0.000001", "0.000001"),
            ("0.0000001", "1e-7"),
            ("1.5e-7", "1.5e-7"),
            ("1e+400", "1e+400"),
            ("12.34e1", "123.4"),
        ];
        for (text, wanted) in cases {
            assert_eq!(number(text).as_deref(), Some(wanted), "{text}");
        }
        for bad in ["", "-", ".5", "1e", "1e99999999999", "0x1", "1_0", "+1", "nan"] {
            assert_eq!(number(bad), None, "{bad}");
        }
    }
}
