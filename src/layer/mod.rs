//! Layers: plan, tar, compression.
