savedcmd_rust/bindings/bindings_generated.rs := bindgen /root/linux-7.2/rust/bindings/bindings_helper.h --blocklist-type __kernel_s?size_t --blocklist-type __kernel_ptrdiff_t --opaque-type xregs_state --opaque-type desc_struct --opaque-type arch_lbr_state --opaque-type local_apic --opaque-type alt_instr --opaque-type x86_msi_data --opaque-type x86_msi_addr_lo --opaque-type lowcore --opaque-type tod_clock --opaque-type tpi_info --opaque-type uv_cb.* --opaque-type uv_secret.* --opaque-type zpci_fib --opaque-type spinlock --newtype-enum lru_status --with-attribute-custom-enum=lru_status='$(pound)[cfi_encoding="10lru_status"]' --no-doc-comments --blocklist-function __list_.*_report --blocklist-item ARCH_SLAB_MINALIGN --blocklist-item ARCH_KMALLOC_MINALIGN --blocklist-item VM_MERGEABLE --blocklist-item VM_READ --blocklist-item VM_WRITE --blocklist-item VM_EXEC --blocklist-item VM_SHARED --blocklist-item VM_MAYREAD --blocklist-item VM_MAYWRITE --blocklist-item VM_MAYEXEC --blocklist-item VM_MAYEXEC --blocklist-item VM_PFNMAP --blocklist-item VM_IO --blocklist-item VM_DONTCOPY --blocklist-item VM_DONTEXPAND --blocklist-item VM_LOCKONFAULT --blocklist-item VM_ACCOUNT --blocklist-item VM_NORESERVE --blocklist-item VM_HUGETLB --blocklist-item VM_SYNC --blocklist-item VM_ARCH_1 --blocklist-item VM_WIPEONFORK --blocklist-item VM_DONTDUMP --blocklist-item VM_SOFTDIRTY --blocklist-item VM_MIXEDMAP --blocklist-item VM_HUGEPAGE --blocklist-item VM_NOHUGEPAGE --with-derive-custom-struct .*=MaybeZeroable --with-derive-custom-union .*=MaybeZeroable --rust-target 1.85 --use-core --with-derive-default --ctypes-prefix ffi --no-layout-tests --no-debug '.*' --enable-function-attribute-detection -o rust/bindings/bindings_generated.rs -- -Wp,-MMD,rust/bindings/.bindings_generated.rs.d -nostdinc -I/root/linux-7.2/arch/x86/include -I./arch/x86/include/generated -I/root/linux-7.2/include -I./include -I./arch/x86/include/generated/uapi -I./include/generated/uapi -include /root/linux-7.2/include/linux/compiler-version.h -include /root/linux-7.2/include/linux/kconfig.h -include /root/linux-7.2/include/linux/compiler_types.h -D__KERNEL__ --target=x86_64-linux-gnu -fintegrated-as -Werror=unknown-warning-option -Werror=ignored-optimization-argument -std=gnu11 -mno-sse -O2 -Irust    -DKBUILD_MODFILE='"rust/bindings_generated"' -DKBUILD_BASENAME='"bindings_generated"' -DKBUILD_MODNAME='"bindings_generated"' -D__KBUILD_MODNAME=bindings_generated -D__BINDGEN__ -DMODULE  ; sed -Ei 's/pub const RUST_CONST_HELPER_([a-zA-Z0-9_]*)/pub const \1/g' rust/bindings/bindings_generated.rs

source_rust/bindings/bindings_generated.rs := /root/linux-7.2/rust/bindings/bindings_helper.h

deps_rust/bindings/bindings_generated.rs := \
    $(wildcard include/config/DRM_PANIC_SCREEN_QR_CODE) \
    $(wildcard include/config/GPU_BUDDY) \
    $(wildcard include/config/ANDROID_BINDER_IPC_RUST) \
  /root/linux-7.2/include/linux/compiler-version.h \
    $(wildcard include/config/CC_VERSION_TEXT) \
  /root/linux-7.2/include/trace/events/rust_sample.h \
  /root/linux-7.2/include/trace/define_trace.h \
  /root/linux-7.2/include/uapi/../../drivers/base/base.h \
    $(wildcard include/config/SYS_HYPERVISOR) \
    $(wildcard include/config/AUXILIARY_BUS) \

rust/bindings/bindings_generated.rs: $(deps_rust/bindings/bindings_generated.rs)

$(deps_rust/bindings/bindings_generated.rs):
