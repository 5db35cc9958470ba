savedcmd_rust/kernel.o := OBJTREE=/root/build-6.12 rustc --edition=2021 -Zbinary_dep_depinfo=y -Astable_features -Dnon_ascii_idents -Dunsafe_op_in_unsafe_fn -Wmissing_docs -Wrust_2018_idioms -Cpanic=abort -Cembed-bitcode=n -Zfunction-sections=n --target=./scripts/target.json @./include/generated/rustc_cfg --extern ffi --extern build_error --extern macros --extern bindings --extern uapi --emit=dep-info=rust/.kernel.o.d --emit=obj=rust/kernel.o --emit=metadata=rust/libkernel.rmeta --crate-type rlib -L./rust --crate-name kernel /root/linux-6.12/rust/kernel/lib.rs --sysroot=/dev/null

source_rust/kernel.o := /root/linux-6.12/rust/kernel/lib.rs

deps_rust/kernel.o := \
    $(wildcard include/config/RUST) \
    $(wildcard include/config/BLOCK) \
    $(wildcard include/config/RUST_FW_LOADER_ABSTRACTIONS) \
    $(wildcard include/config/KUNIT) \
    $(wildcard include/config/NET) \
  /root/build-6.12/rust/libffi.rmeta \
  /root/build-6.12/rust/libmacros.so \
  /root/build-6.12/rust/libbindings.rmeta \
  /root/build-6.12/rust/libuapi.rmeta \
  /root/build-6.12/rust/libbuild_error.rmeta \

rust/kernel.o: $(deps_rust/kernel.o)

$(deps_rust/kernel.o):
