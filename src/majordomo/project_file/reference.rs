//! The reference page of the project file.
/// The page.
pub fn page() -> String {
    String::new()
}
