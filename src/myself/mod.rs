//! This program once more, as another process: hidden first arguments with which it starts itself.
//!
//! Each is asked for in `main`, before anything else: [`zygote`] mounts and forks steps, [`guard`] ends a user's program with all that it has
//! started, [`chef`] is one of the built-in chefs, in the kitchen.

pub mod chef;
pub mod guard;
pub mod zygote;
