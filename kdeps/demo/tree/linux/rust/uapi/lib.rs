// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What the C headers for user space declare.

use ffi::c_int;
use pin_init::PinInit;

include!(concat!(env!("OBJTREE"), "/rust/uapi/uapi_generated.rs"));
