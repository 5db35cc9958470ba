// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What the C headers declare.

use ffi::c_int;
use pin_init::PinInit;

mod bindings_raw {
    include!(concat!(env!("OBJTREE"), "/rust/bindings/bindings_generated.rs"));
}

mod bindings_helper {
    include!(concat!(env!("OBJTREE"), "/rust/bindings/bindings_helpers_generated.rs"));
}
