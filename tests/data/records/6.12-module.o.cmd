savedcmd_/root/lts1/kdeps_rs.o := RUST_MODFILE=/root/lts1/kdeps_rs rustc --edition=2021 -Zbinary_dep_depinfo=y -Astable_features -Dnon_ascii_idents -Dunsafe_op_in_unsafe_fn -Wmissing_docs -Wrust_2018_idioms -Cpanic=abort -Cembed-bitcode=n -Zfunction-sections=n --target=./scripts/target.json  --cfg MODULE  @./include/generated/rustc_cfg --extern kernel --crate-type rlib -L ./rust/ --crate-name kdeps_rs --sysroot=/dev/null --out-dir /root/lts1/ --emit=dep-info=/root/lts1/.kdeps_rs.o.d --emit=obj=/root/lts1/kdeps_rs.o /root/lts1/kdeps_rs.rs  ; ./tools/objtool/objtool --hacks=jump_label --hacks=noinstr --ibt --static-call --uaccess  --link  --module /root/lts1/kdeps_rs.o

source_/root/lts1/kdeps_rs.o := /root/lts1/kdeps_rs.rs

deps_/root/lts1/kdeps_rs.o := \
  /root/lts1/part.rs \
  /root/lts1/greeting.txt \
  /root/build-6.12/rust/libcore.rmeta \
  /root/build-6.12/rust/libcompiler_builtins.rmeta \
  /root/build-6.12/rust/libkernel.rmeta \
  /root/build-6.12/rust/libffi.rmeta \
  /root/build-6.12/rust/libmacros.so \
  /root/build-6.12/rust/libbindings.rmeta \
  /root/build-6.12/rust/libuapi.rmeta \
  /root/build-6.12/rust/libbuild_error.rmeta \

/root/lts1/kdeps_rs.o: $(deps_/root/lts1/kdeps_rs.o)

$(deps_/root/lts1/kdeps_rs.o):

/root/lts1/kdeps_rs.o: $(wildcard ./tools/objtool/objtool)
