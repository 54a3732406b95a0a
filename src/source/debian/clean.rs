//! stub
/// x
/// # Errors
/// x
pub fn clean(_root: &std::path::Path) -> crate::error::Result<()> { Ok(()) }
