//! What is wanted: profiles.
