//! Single values: strings, lists of them, booleans, time-outs.

use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::error::Wrong;
use super::{Located, Spot, Text};

/// The longest time-out.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(30 * 86_400);

/// The most that `max_passes` may be.
const MAX_MAX_PASSES: usize = 1000;

pub(super) type Value<'i> = Spanned<DeValue<'i>>;
pub(super) type Fault = Box<Located<Wrong>>;

/// A key of a table and its value, with all that an error about it needs.
#[derive(Clone, Copy)]
pub(super) struct Field<'a, 'i> {
    pub text: &'a Text,
    pub key: &'a str,
    pub value: &'a Value<'i>,
}

impl<'a, 'i> Field<'a, 'i> {
    pub fn fault(&self, at: Range<usize>, wrong: Wrong) -> Fault {
        self.text.locate(at, wrong)
    }

    /// The error that the value has another type.
    pub fn not(&self, wanted: &'static str) -> Fault {
        self.not_here(self.value, wanted, None)
    }

    pub fn not_here(&self, value: &Value<'i>, wanted: &'static str, hint: Option<String>) -> Fault {
        let wrong = Wrong::Type { key: self.key.to_owned(), wanted, found: kind(value.get_ref()), hint };
        self.fault(value.span(), wrong)
    }

    pub fn boolean(&self) -> Result<bool, Fault> {
        self.value.get_ref().as_bool().ok_or_else(|| {
            let hint = match self.value.get_ref().as_str() {
                Some(text @ ("true" | "false")) => {
                    Some(format!("write it without quotes: `{} = {text}`", self.key))
                }
                _ => None,
            };
            self.not_here(self.value, "true or false", hint)
        })
    }

    /// A string that is not empty.
    pub fn string(&self) -> Result<Spot<String>, Fault> {
        let text = self.value.get_ref().as_str().ok_or_else(|| self.not("a string"))?;
        self.filled(text, self.value.span())
    }

    /// A string, or a list of strings that may be empty; no string is empty.
    pub fn strings(&self) -> Result<Vec<Spot<String>>, Fault> {
        match self.value.get_ref() {
            DeValue::String(text) => Ok(vec![self.filled(text, self.value.span())?]),
            DeValue::Array(list) => list
                .iter()
                .map(|item| {
                    let text = item.get_ref().as_str();
                    let text =
                        text.ok_or_else(|| self.not_here(item, "a string or a list of strings", None))?;
                    self.filled(text, item.span())
                })
                .collect(),
            _ => Err(self.not("a string or a list of strings")),
        }
    }

    fn filled(&self, text: &str, at: Range<usize>) -> Result<Spot<String>, Fault> {
        if text.is_empty() {
            return Err(self.fault(at, Wrong::Empty { key: self.key.to_owned() }));
        }
        self.plain(text, at)
    }

    /// A string without NUL.
    pub fn plain(&self, text: &str, at: Range<usize>) -> Result<Spot<String>, Fault> {
        if text.contains('\0') {
            return Err(self.fault(at, Wrong::Nul { key: self.key.to_owned() }));
        }
        Ok(Spot { value: text.to_owned(), at })
    }

    /// How many passes a step may make: at least 1, at most [`MAX_MAX_PASSES`].
    pub fn passes(&self) -> Result<usize, Fault> {
        let number = match self.value.get_ref() {
            DeValue::Integer(number) => usize::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        };
        let number = number.filter(|number| (1..=MAX_MAX_PASSES).contains(number));
        number.ok_or_else(|| self.not("a whole number from 1 to 1000"))
    }

    pub fn timeout(&self) -> Result<Duration, Fault> {
        let (text, duration) = match self.value.get_ref() {
            DeValue::String(text) => (text.to_string(), duration(text)),
            DeValue::Integer(number) => {
                let seconds = u64::from_str_radix(number.as_str(), number.radix()).ok();
                (number.to_string(), seconds.map(Duration::from_secs))
            }
            _ => return Err(self.not("a time such as \"90s\" or \"5m\", or whole seconds")),
        };
        duration
            .filter(|duration| !duration.is_zero() && *duration <= MAX_TIMEOUT)
            .ok_or_else(|| self.fault(self.value.span(), Wrong::Timeout { text }))
    }
}

/// `90s`, `1h30m`, `500ms`: numbers with units, the larger unit first.
fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    let mut last_unit = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let millis: u64 = match &rest[..letters] {
            "h" => 3_600_000,
            "m" => 60_000,
            "s" => 1_000,
            "ms" => 1,
            _ => return None,
        };
        if millis >= last_unit {
            return None;
        }
        last_unit = millis;
        rest = &rest[letters..];
        total = total.checked_add(Duration::from_millis(number.checked_mul(millis)?))?;
    }
    Some(total)
}

/// The type of a value, with its article.
fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations() {
        let millis = |text| duration(text).map(|duration| duration.as_millis());
        assert_eq!(millis("90s"), Some(90_000));
        assert_eq!(millis("1h30m"), Some(5_400_000));
        assert_eq!(millis("1s500ms"), Some(1_500));
        for bad in
            ["90", "s", "5 m", "1.5h", "1m1h", "1m1m", "-1s", "99999999999999999999s", "9999999999999999h"]
        {
            assert_eq!(millis(bad), None, "{bad}");
        }
    }
}
