//! A decoder-only Transformer: its shape ([`Config`]), its weights ([`Model`]), and the one forward pass.
//!
//! Token ids go in, logits come out. What a token spells, how the next one is chosen, and where the bytes came from are
//! other modules' affairs.

mod adapter;
mod architecture;
mod attention;
mod cache;
mod config;
mod feed_forward;
mod forward;
mod intervention;
mod keys;
mod load;
mod math;
mod names;
mod rope;
mod scratch;
mod shift;
mod tap;
mod weights;

pub use adapter::Adapter;
pub use architecture::{Activation, Norm, Pairing};
pub use cache::{CacheType, KvCache};
pub use config::{Config, Experts};
pub use forward::{MAX_BATCH, Want, forward, project};
pub(crate) use intervention::Interfering;
pub use intervention::{Action, Intervention};
pub use load::Loader;
pub use rope::{Rope, Yarn};
pub use scratch::Scratch;
pub use shift::can_shift;
pub use tap::{Place, Site, Tap};
pub use weights::Model;
