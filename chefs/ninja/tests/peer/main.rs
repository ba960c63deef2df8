//! Held against ninja itself: on what it wrote files for (CMake, Meson), on files written by hand, and on random ones.
//!
//! The same commands in the same order, the same graph, the same files refused – and what is refused here though ninja takes
//! it is named, one by one.

#[cfg(test)]
mod cmake;
#[cfg(test)]
mod graph;
#[cfg(test)]
mod meson;
#[cfg(test)]
mod random;
#[cfg(test)]
mod run;
#[cfg(test)]
mod tool;
#[cfg(test)]
mod written;
