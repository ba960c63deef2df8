use super::*;
use std::sync::Arc;
pub fn check_edited(prepared: &Prepared, options: &BuildOptions) -> Fallible<()> {
    Ok(())
}
pub async fn hand_over(
    context: &Arc<Context>,
    prepared: Prepared,
    wanted: &Wanted,
    steps: &[usize],
    asked: &Asked,
    lock: &Lock,
) -> Fallible<u64> {
    for (path, entry, step) in context.made.merged(steps) {
        eprintln!("{path} {entry:?} {step}");
    }
    Ok(0)
}
