//! A decoder-only Transformer: its shape ([`Config`]), its weights ([`Model`]), and the one forward pass.
//!
//! Token ids go in, logits come out. What a token spells, how the next one is chosen, and where the bytes came from are
//! other modules' affairs.

mod cache;
mod config;
mod forward;
mod load;
mod rope;
mod shift;
mod tap;
mod weights;

pub use cache::{CacheType, KvCache};
pub use config::{Activation, Config, Norm, Pairing, Rope};
pub use forward::{MAX_BATCH, Scratch, Want, forward};
pub use load::Loader;
pub use shift::can_shift;
pub use tap::{Place, Site, Tap};
pub use weights::Model;
