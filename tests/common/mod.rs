//! What the integration tests share: models made on the spot, the data beside the repository, and an allocator that
//! counts.

#![allow(dead_code, reason = "each test uses its part")]

pub mod alloc;
pub mod data;
pub mod made;
pub mod recorded;
