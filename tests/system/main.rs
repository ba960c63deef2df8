//! The whole system: the real binaries over real projects, as transcripts – build; build again runs nothing; change one
//! input; exactly these steps run.

#[cfg(test)]
#[path = "../common/mod.rs"]
#[allow(dead_code, unused_imports, reason = "it serves several test binaries, and none needs all of it")]
mod common;

#[cfg(test)]
mod chef_lenses;
#[cfg(test)]
mod chefs;
#[cfg(test)]
mod collect;
#[cfg(test)]
mod configured;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod disks;
#[cfg(test)]
mod doctor;
#[cfg(test)]
mod edits;
#[cfg(test)]
mod engines;
#[cfg(test)]
mod functions;
#[cfg(test)]
mod hello;
#[cfg(test)]
mod hosts;
#[cfg(test)]
mod images;
#[cfg(test)]
mod interrupts;
#[cfg(test)]
mod joining;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod kills;
#[cfg(test)]
mod lending;
#[cfg(test)]
mod lenses;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod live;
#[cfg(test)]
mod machine;
#[cfg(test)]
mod mesh;
#[cfg(test)]
mod mistakes;
#[cfg(test)]
mod options;
#[cfg(test)]
mod outputs;
#[cfg(test)]
mod owning;
mod pool;
#[cfg(test)]
mod real;
#[cfg(test)]
mod registered;
#[cfg(test)]
mod reports;
#[cfg(test)]
mod sandbox;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod security;
#[cfg(test)]
mod shell;
#[cfg(test)]
mod site;
#[cfg(test)]
mod standing;
#[cfg(test)]
mod together;
#[cfg(test)]
mod trial;
#[cfg(test)]
mod verify;
#[cfg(test)]
mod why;
