//! The majordomo: drives the build of one project for one user.
pub mod request;
pub mod project_file;
pub mod snapshot;
pub mod workspace;
pub mod plan;
