savedcmd_rust/core.o :=  OBJTREE=/root/build-7.2 rustc -Zbinary_dep_depinfo=y -Astable_features -Dnon_ascii_idents -Dunsafe_op_in_unsafe_fn -Wmissing_docs -Wrust_2018_idioms -Cpanic=abort -Cembed-bitcode=n -Zfunction-sections=n --target=./scripts/target.json @./include/generated/rustc_cfg --edition=2021 --cfg='no_fp_fmt_parse' --emit=dep-info=rust/.core.o.d --emit=obj=rust/core.o --emit=metadata=rust/libcore.rmeta --crate-type rlib -L./rust --crate-name core /usr/lib/rustlib/src/rust/library/core/src/lib.rs --sysroot=/dev/null  ;llvm-objcopy --redefine-sym __addsf3=__rust__addsf3 --redefine-sym __eqsf2=__rust__eqsf2 --redefine-sym __extendsfdf2=__rust__extendsfdf2 --redefine-sym __gesf2=__rust__gesf2 --redefine-sym __lesf2=__rust__lesf2 --redefine-sym __ltsf2=__rust__ltsf2 --redefine-sym __mulsf3=__rust__mulsf3 --redefine-sym __nesf2=__rust__nesf2 --redefine-sym __truncdfsf2=__rust__truncdfsf2 --redefine-sym __unordsf2=__rust__unordsf2 --redefine-sym __adddf3=__rust__adddf3 --redefine-sym __eqdf2=__rust__eqdf2 --redefine-sym __ledf2=__rust__ledf2 --redefine-sym __ltdf2=__rust__ltdf2 --redefine-sym __muldf3=__rust__muldf3 --redefine-sym __unorddf2=__rust__unorddf2 --redefine-sym __muloti4=__rust__muloti4 --redefine-sym __multi3=__rust__multi3 --redefine-sym __udivmodti4=__rust__udivmodti4 --redefine-sym __udivti3=__rust__udivti3 --redefine-sym __umodti3=__rust__umodti3 rust/core.o 

source_rust/core.o := /usr/lib/rustlib/src/rust/library/core/src/lib.rs

deps_rust/core.o := \
  /usr/lib/rustlib/src/rust/library/core/src/macros/mod.rs \
  /usr/lib/rustlib/src/rust/library/core/src/internal_macros.rs \
  /usr/lib/rustlib/src/rust/library/core/src/num/shells/int_macros.rs \
  /usr/lib/rustlib/src/rust/library/core/src/num/shells/i128.rs \
  /usr/lib/rustlib/src/rust/library/core/src/num/shells/i16.rs \
  /usr/lib/rustlib/src/rust/library/core/src/ffi/c_void.md \
  /usr/lib/rustlib/src/rust/library/core/src/fmt/fmt_trait_method_doc.md \
  /usr/lib/rustlib/src/rust/library/core/src/../../stdarch/crates/core_arch/src/core_arch_docs.md \
  /usr/lib/rustlib/src/rust/library/core/src/../../portable-simd/crates/core_simd/src/core_simd_docs.md \
  /usr/lib/rustlib/src/rust/library/core/src/primitive_docs.rs \

rust/core.o: $(deps_rust/core.o)

$(deps_rust/core.o):
