//! Tests of the view through real FUSE mounts, and the laws of its sources.

#[cfg(test)]
mod figures;
#[cfg(test)]
mod held;
#[cfg(test)]
mod host;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod memory_use;
#[cfg(test)]
mod project;
#[cfg(test)]
mod stacked;
#[cfg(test)]
mod stage;
#[cfg(test)]
mod tools;
#[cfg(test)]
mod unprivileged;
