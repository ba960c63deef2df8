//! `limits`: how much of the machine a step may use; the same words in the project file and in the pod's `pod.toml`.

use kitchen::Limits;

use super::keys::LIMITS_KEYS;
use super::read::{fields, table, unknown};
use super::value::{Fault, Field};

/// The table of a step, of `[project]`, or of the pod's file.
pub(super) fn limits(field: Field<'_, '_>) -> Result<Limits, Fault> {
    let mut limits = Limits::default();
    for (key, field) in fields(field.text, table(field, "a table such as { memory = \"512M\" }")?) {
        match field.key {
            "memory" => limits.memory = Some(field.size()?),
            "cpus" => limits.milli_cpus = Some(field.thousandths()?),
            "processes" => limits.processes = Some(field.count()?),
            "open_files" => limits.open_files = Some(field.count()?),
            "disk" => limits.disk = Some(field.size()?),
            "time" => limits.time = Some(field.timeout()?),
            _ => return Err(unknown(key, field, "limits", &LIMITS_KEYS)),
        }
    }
    Ok(limits)
}
