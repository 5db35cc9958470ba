savedcmd_rust/kernel.o :=  OBJTREE=/root/linux-7.2-in rustc --edition=2021 -Zbinary_dep_depinfo=y -Astable_features -Dnon_ascii_idents -Dunsafe_op_in_unsafe_fn -Wmissing_docs -Wrust_2018_idioms -Cpanic=abort -Cembed-bitcode=n -Zfunction-sections=n --target=./scripts/target.json @./include/generated/rustc_cfg --extern ffi --extern pin_init --extern build_error --extern macros --extern bindings --extern uapi --extern zerocopy --extern zerocopy_derive --emit=dep-info=rust/.kernel.o.d --emit=obj=rust/kernel.o --emit=metadata=rust/libkernel.rmeta --crate-type rlib -L./rust --crate-name kernel rust/kernel/lib.rs --sysroot=/dev/null    ; ./tools/objtool/objtool --hacks=jump_label --hacks=noinstr --static-call --uaccess   rust/kernel.o

source_rust/kernel.o := rust/kernel/lib.rs

deps_rust/kernel.o := \
    $(wildcard include/config/RUSTC_HAS_FILE_WITH_NUL) \
    $(wildcard include/config/RUST) \
    $(wildcard include/config/AUXILIARY_BUS) \
    $(wildcard include/config/BLOCK) \
    $(wildcard include/config/CONFIGFS_FS) \
  /root/linux-7.2-in/rust/libbuild_error.rmeta \
  /root/linux-7.2-in/rust/libbindings.rmeta \
  /root/linux-7.2-in/rust/libzerocopy.rmeta \
  /root/linux-7.2-in/rust/libzerocopy_derive.so \
  /root/linux-7.2-in/rust/libuapi.rmeta \

rust/kernel.o: $(deps_rust/kernel.o)

$(deps_rust/kernel.o):

rust/kernel.o: $(wildcard ./tools/objtool/objtool)
