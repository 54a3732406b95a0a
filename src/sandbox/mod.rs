//! Running package scripts without privilege (or with as little as there is).
