savedcmd_nova_core.o := OBJTREE=/root/build-7.2 RUST_MODFILE=./nova-core rustc --edition=2021 -Zbinary_dep_depinfo=y -Astable_features -Dnon_ascii_idents -Dunsafe_op_in_unsafe_fn -Wmissing_docs -Wrust_2018_idioms -Cpanic=abort -Cembed-bitcode=n -Zfunction-sections=n --target=/root/build-7.2/scripts/target.json  --cfg MODULE  @/root/build-7.2/include/generated/rustc_cfg --extern pin_init --extern kernel --extern zerocopy --extern zerocopy_derive --crate-type rlib -L /root/build-7.2/rust/ --sysroot=/dev/null --out-dir ./ --emit=dep-info=./.nova_core.o.d --emit=obj=nova_core.o nova_core.rs  

source_nova_core.o := nova_core.rs

deps_nova_core.o := \
  bitfield.rs \
  driver.rs \
  falcon.rs \
  falcon/fsp.rs \
  falcon/gsp.rs \
  num.rs \
    $(wildcard include/config/64BIT) \
    $(wildcard include/config/32BIT) \
  /root/build-7.2/rust/libbuild_error.rmeta \
  /root/build-7.2/rust/libbindings.rmeta \
  /root/build-7.2/rust/libzerocopy.rmeta \
  /root/build-7.2/rust/libzerocopy_derive.so \
  /root/build-7.2/rust/libuapi.rmeta \

nova_core.o: $(deps_nova_core.o)

$(deps_nova_core.o):
