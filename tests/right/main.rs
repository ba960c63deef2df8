//! Always right: what other build tools get wrong, each against real tools – build, change, exactly these steps run, this
//! comes out.

#[cfg(test)]
#[path = "../common/mod.rs"]
#[allow(dead_code, unused_imports, reason = "it serves several test binaries, and none needs all of it")]
mod common;

#[cfg(test)]
use common::random as chance;

#[cfg(test)]
mod altered;
#[cfg(test)]
mod cargo;
#[cfg(test)]
mod circles;
#[cfg(test)]
mod clock;
#[cfg(test)]
mod compiler;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod elsewhere;
#[cfg(test)]
mod example;
#[cfg(test)]
mod goals;
#[cfg(test)]
mod hazards;
#[cfg(test)]
mod interrupts;
#[cfg(test)]
mod kept;
#[cfg(test)]
mod kills;
#[cfg(test)]
mod latex;
#[cfg(test)]
mod lenses;
#[cfg(test)]
mod links;
#[cfg(test)]
mod listings;
#[cfg(test)]
mod machine;
#[cfg(test)]
mod make;
#[cfg(test)]
mod meanwhile;
#[cfg(test)]
mod order;
#[cfg(test)]
mod pdf;
#[cfg(test)]
mod random;
#[cfg(test)]
mod reads;
#[cfg(test)]
mod report;
#[cfg(test)]
mod sees;
#[cfg(test)]
mod tangle;
#[cfg(test)]
mod verify;
#[cfg(test)]
mod watch;
#[cfg(test)]
mod world;
#[cfg(test)]
mod writers;
