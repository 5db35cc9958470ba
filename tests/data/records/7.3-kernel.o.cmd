savedcmd_rust/kernel.o :=  OBJTREE=/root/build-7.3 rustc --edition=2021 -Zbinary_dep_depinfo=y -Astable_features -Dnon_ascii_idents -Dunsafe_op_in_unsafe_fn -Wmissing_docs -Wrust_2018_idioms -Cpanic=abort -Cembed-bitcode=n -Zfunction-sections=n --target=./scripts/target.json @./include/generated/rustc_cfg --extern ffi --extern pin_init --extern build_error --extern macros --extern bindings --extern uapi --extern zerocopy --extern zerocopy_derive --emit=dep-info=rust/.kernel.o.d --emit=obj=rust/kernel.o --emit=metadata=rust/libkernel.rmeta --crate-type rlib -L./rust --crate-name kernel /root/linux-7.3/rust/kernel/lib.rs --sysroot=/dev/null

source_rust/kernel.o := /root/linux-7.3/rust/kernel/lib.rs

deps_rust/kernel.o := \
    $(wildcard include/config/RUSTC_HAS_FILE_WITH_NUL) \
    $(wildcard include/config/RUST) \
    $(wildcard include/config/AUXILIARY_BUS) \
    $(wildcard include/config/BLOCK) \
    $(wildcard include/config/CONFIGFS_FS) \
  /root/build-7.3/rust/libbuild_error.rmeta \
  /root/build-7.3/rust/libzerocopy.rmeta \
  /root/build-7.3/rust/libbindings.rmeta \
  /root/build-7.3/rust/libzerocopy_derive.so \
  /root/build-7.3/rust/libuapi.rmeta \

rust/kernel.o: $(deps_rust/kernel.o)

$(deps_rust/kernel.o):
