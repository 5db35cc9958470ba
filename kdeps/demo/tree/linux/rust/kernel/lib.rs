// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The crate `kernel`: what drivers written in Rust call.

pub use bindings;
pub use build_error::build_error;
pub use ffi;
pub use macros;
pub use pin_init;
pub use uapi;
pub use zerocopy;
pub use zerocopy_derive;

pub mod device;
#[cfg(CONFIG_DEBUG_FS)]
pub mod debugfs;
pub mod io;
#[cfg(CONFIG_PCI)]
pub mod pci;
pub mod time;

#[cfg(CONFIG_BUG)]
include!(concat!(env!("OBJTREE"), "/rust/kernel/generated_arch_warn_asm.rs"));
#[cfg(CONFIG_BUG)]
include!(concat!(env!("OBJTREE"), "/rust/kernel/generated_arch_reachable_asm.rs"));
