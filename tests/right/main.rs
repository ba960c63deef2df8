//! Always right: what other build tools get wrong, each against real tools – build, change, exactly these steps run, this
//! comes out.

#[cfg(test)]
#[path = "../common/mod.rs"]
#[allow(dead_code, unused_imports, reason = "it serves several test binaries, and none needs all of it")]
mod common;

#[cfg(test)]
mod latex;
#[cfg(test)]
mod make;
#[cfg(test)]
mod pdf;
#[cfg(test)]
mod reads;
