//! The nodes as the cluster reports them, and the order in which they are replaced.
//!
//! [`read`] takes what `kubectl get … -o json` prints and makes a [`Cluster`] of it;
//! [`Rules`] are a TOML file that says what is wanted. From both, [`Plan::make`] says
//! which nodes have the image already, which can be reimaged in which *wave*, and
//! which cannot and why ([`obstacles`]); [`Status`] says how far one is. All of it
//! is pure: no clock, no network, and the order of the input does not matter.
//!
//! - **pool**: nodes that share a budget, chosen by a label selector. Nodes of the control
//!   plane are a pool of their own, always.
//! - **budget**: how many nodes of a pool, of a pool in one zone, of a zone or of the
//!   whole fleet may be unavailable at once.
//! - **unavailable**: not Ready, or cordoned. Such nodes count against the budget from the start.
//! - **wave**: nodes that are reimaged at the same time. After a wave comes its soak time
//!   and its gates (commands that must succeed), then the next one.
//! - **obstacle**: why a node cannot be reimaged now.

pub mod objects;
pub mod obstacles;
pub mod output;
pub mod plan;
pub mod read;
pub mod rules;
pub mod selector;
pub mod shell;
pub mod status;
pub mod template;

pub use objects::Cluster;
pub use plan::Plan;
pub use rules::Rules;
pub use status::Status;
