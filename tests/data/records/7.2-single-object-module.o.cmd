savedcmd_kdeps_rs.o := OBJTREE=/root/build-7.2 RUST_MODFILE=./kdeps_rs rustc --edition=2021 -Zbinary_dep_depinfo=y -Astable_features -Dnon_ascii_idents -Dunsafe_op_in_unsafe_fn -Wmissing_docs -Wrust_2018_idioms -Cpanic=abort -Cembed-bitcode=n -Zfunction-sections=n --target=/root/build-7.2/scripts/target.json  --cfg MODULE  @/root/build-7.2/include/generated/rustc_cfg --extern pin_init --extern kernel --extern zerocopy --extern zerocopy_derive --crate-type rlib -L /root/build-7.2/rust/ --sysroot=/dev/null --out-dir ./ --emit=dep-info=./.kdeps_rs.o.d --emit=obj=kdeps_rs.o kdeps_rs.rs   ; /root/build-7.2/tools/objtool/objtool --hacks=jump_label --hacks=noinstr --ibt --static-call --uaccess  --link  --module kdeps_rs.o

source_kdeps_rs.o := kdeps_rs.rs

deps_kdeps_rs.o := \
  part.rs \
  greeting.txt \
  /root/build-7.2/rust/libcore.rmeta \
  /root/build-7.2/rust/libcompiler_builtins.rmeta \
  /root/build-7.2/rust/libkernel.rmeta \
  /root/build-7.2/rust/libffi.rmeta \
  /root/build-7.2/rust/libpin_init.rmeta \
  /root/build-7.2/rust/libpin_init_internal.so \
  /root/build-7.2/rust/libmacros.so \
  /root/build-7.2/rust/libbuild_error.rmeta \
  /root/build-7.2/rust/libbindings.rmeta \
  /root/build-7.2/rust/libzerocopy.rmeta \
  /root/build-7.2/rust/libzerocopy_derive.so \
  /root/build-7.2/rust/libuapi.rmeta \

kdeps_rs.o: $(deps_kdeps_rs.o)

$(deps_kdeps_rs.o):

kdeps_rs.o: $(wildcard /root/build-7.2/tools/objtool/objtool)
