//! The whole system: the real binaries over real projects, as transcripts – build; build again runs nothing; change one
//! input; exactly these steps run.

#[cfg(test)]
#[path = "../common/mod.rs"]
mod common;

#[cfg(test)]
mod hello;
#[cfg(test)]
mod site;
