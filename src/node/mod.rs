//! What makes a tree a node.
