savedcmd_rust/libmacros.so :=  rustc --edition=2021 -Zbinary_dep_depinfo=y -Astable_features -Dnon_ascii_idents -Dunsafe_op_in_unsafe_fn -Wmissing_docs -Wrust_2018_idioms --extern proc_macro2 --extern quote --extern syn -Clinker-flavor=gcc -Clinker=clang ' --emit=dep-info=rust/.libmacros.so.d --emit=link=rust/libmacros.so --extern proc_macro --crate-type proc-macro -L./rust --crate-name macros @./include/generated/rustc_cfg /root/linux-7.2/rust/macros/lib.rs

source_rust/libmacros.so := /root/linux-7.2/rust/macros/lib.rs

deps_rust/libmacros.so := \
    $(wildcard include/config/RUSTC_VERSION_TEXT) \
    $(wildcard include/config/RUSTC_HAS_SPAN_FILE) \
    $(wildcard include/config/KUNIT) \
  /root/linux-7.2/rust/macros/concat_idents.rs \
  /root/linux-7.2/rust/macros/export.rs \
  /usr/lib/rustlib/x86_64-unknown-linux-gnu/lib/libpanic_unwind-bdf2582cbdb8dd15.rlib \
  /root/build-7.2/rust/libproc_macro2.rlib \
  /usr/lib/rustlib/x86_64-unknown-linux-gnu/lib/libproc_macro-882c111716c4bebd.rlib \
  /root/build-7.2/rust/libsyn.rlib \
  /root/build-7.2/rust/libquote.rlib \

rust/libmacros.so: $(deps_rust/libmacros.so)

$(deps_rust/libmacros.so):
