autoconfig := include/config/auto.conf

deps_config := \
	Kconfig \
	scripts/Kconfig.include \
	init/Kconfig \
	kernel/irq/Kconfig \
	kernel/time/Kconfig \
	kernel/bpf/Kconfig \
	lib/kunit/Kconfig \
	lib/crypto/tests/Kconfig \
	Documentation/Kconfig \
	io_uring/Kconfig \

$(autoconfig): $(deps_config)
$(deps_config): ;

ifneq "$(ARCH)" "x86"
$(autoconfig): FORCE
endif

ifneq "$(KERNELVERSION)" "7.2.12"
$(autoconfig): FORCE
endif

ifneq "$(CC)" "clang"
$(autoconfig): FORCE
endif

ifneq "$(LD)" "ld.lld"
$(autoconfig): FORCE
endif

ifneq "$(srctree)" "/root/linux-7.2"
$(autoconfig): FORCE
endif

ifneq "$(CLANG_FLAGS)" "--target=x86_64-linux-gnu -fintegrated-as -Werror=unknown-warning-option -Werror=ignored-optimization-argument -Werror=option-ignored -Werror=unused-command-line-argument"
$(autoconfig): FORCE
endif

ifneq "$(RUSTC)" "rustc"
$(autoconfig): FORCE
endif

ifneq "$(CC_VERSION_TEXT)" "Debian clang version 19.1.7 (3+b1)"
$(autoconfig): FORCE
endif

ifneq "$(NM)" "llvm-nm"
$(autoconfig): FORCE
endif

ifneq "$(OBJCOPY)" "llvm-objcopy"
$(autoconfig): FORCE
endif

ifneq "$(PAHOLE_VERSION)" "130"
$(autoconfig): FORCE
endif

ifneq "$(RUSTC_VERSION_TEXT)" "rustc 1.85.1 (4eb161250 2025-03-15) (built from a source tarball)"
$(autoconfig): FORCE
endif

ifneq "$(BINDGEN)" "bindgen"
$(autoconfig): FORCE
endif

ifneq "$(SRCARCH)" "x86"
$(autoconfig): FORCE
endif

ifneq "$(AR)" "llvm-ar"
$(autoconfig): FORCE
endif

ifneq "$(PYTHON3)" "python3"
$(autoconfig): FORCE
endif
