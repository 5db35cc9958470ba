// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Describes the machine that kernel code is compiled for. Reads the configuration on
//! standard input.

fn main() {
    println!("{{");
    println!("    \"arch\": \"x86_64\",");
    println!("    \"data-layout\": \"e-m:e-i64:64\",");
    if cfg.has("DEBUG_INFO") { println!("    \"frame-pointer\": \"always\","); }
    println!("    \"llvm-target\": \"x86_64-linux-gnu\"");
    println!("}}");
}
