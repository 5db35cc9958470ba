# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""What is done in the guest, and what kdeps has to answer then."""

from __future__ import annotations

from typing import NamedTuple

FRESH, STALE, UNKNOWN = 0, 1, 2
NAME = "kdeps_guest"


class Scenario(NamedTuple):
    """One step in the guest."""

    name: str
    script: str
    """Run by busybox sh before the facts are collected; ``$d`` is the folder of modules."""
    status: int
    kinds: dict[str, str]
    """The links that matter, by stage."""

    def is_passing(self) -> bool:
        """Whether the module is coming or going: then it holds the guest for some time."""
        return self.kinds.get("loaded") in ("coming", "going")

    def after_edit(self) -> Scenario:
        """The same machine after the module's source was edited: whatever is in use there is old."""
        kinds = {**self.kinds, "sources": "sources-changed"}
        return self._replace(name=f"{self.name}, edited since", status=STALE, kinds=kinds)


INSTALLED = {
    "none": ("", "not-installed", FRESH),
    "new": ("install new.ko updates/kdeps-guest.ko", "same-link", FRESH),
    "old": ("install old.ko updates/kdeps_guest.ko", "other-link", STALE),
    "signed": ("install signed.ko kernel/kdeps_guest.ko", "same-link", FRESH),
    "stripped": ("install stripped.ko extra/kdeps_guest.ko", "same-link", FRESH),
    "new-xz": ("install new.ko.xz updates/kdeps_guest.ko.xz", "same-link", FRESH),
    "old-xz": ("install old.ko.xz updates/kdeps_guest.ko.xz", "other-link", STALE),
    "new-gz": ("install new.ko.gz updates/kdeps_guest.ko.gz", "same-link", FRESH),
    "zst": ("install new.ko.zst updates/kdeps_guest.ko.zst", "unreadable", UNKNOWN),
    "shadowed": ("install old.ko updates/kdeps_guest.ko; put new.ko kernel/kdeps_guest.ko", "other-link", STALE),
    "shadowing": ("install new.ko updates/kdeps_guest.ko; put old.ko kernel/kdeps_guest.ko", "same-link", FRESH),
    "no-depmod": ("put new.ko updates/kdeps_guest.ko", "not-indexed", STALE),
    "gone": ("install new.ko updates/kdeps_guest.ko; rm $d/updates/kdeps_guest.ko", "file-gone", STALE),
    "dep-old": ("install new.ko updates/kdeps_guest.ko; touch -d 2020-01-01 $d/modules.dep", "index-older", FRESH),
    "built-in": ("install new.ko updates/kdeps_guest.ko; echo kernel/kdeps_guest.ko: > $d/modules.builtin; sed -i s/:// $d/modules.builtin", "left-over", STALE),
    "of another kernel": ("o=/lib/modules/0.0-other; mkdir -p $o/updates; cp /m/old.ko $o/updates/kdeps_guest.ko; echo updates/kdeps_guest.ko: > $o/modules.dep", "not-installed", FRESH),
    "damaged": ("echo junk > /junk; install ../junk updates/kdeps_guest.ko", "unreadable", UNKNOWN),
}  # fmt: skip
"""What is installed: how it gets there, what kdeps finds, and what that alone makes of the answer."""
LOADED = {
    "unloaded": ("", "not-loaded", STALE),
    "new": ("insmod /m/new.ko", "same-link", FRESH),
    "old": ("insmod /m/old.ko", "other-link", STALE),
    "coming": ("insmod /m/new.ko wait_ms=20000 & sleep 1", "coming", UNKNOWN),
    "going": ("while [ -d /sys/module/kdeps_guest ]; do sleep 1; rmmod kdeps_guest; done; insmod /m/new.ko leave_ms=60000; rmmod kdeps_guest & sleep 1", "going", UNKNOWN),
}  # fmt: skip
"""What is loaded, alike."""
PACKED = {
    "new": ("pack new.ko", "same-link", FRESH),
    "old": ("pack old.ko", "other-link", STALE),
    "other": ("pack none", "not-in-initramfs", FRESH),
    "new-xz": ("boot_file new.img.xz", "same-link", FRESH),
    "old-behind": ("boot_file behind.img", "other-link", STALE),
    "cut": ("boot_file cut.img", "unreadable", UNKNOWN),
}
PRELUDE = """
d=/lib/modules/$(uname -r)
reset() { rmmod kdeps_guest 2>/dev/null; rm -rf /lib/modules /boot; mkdir -p $d/updates $d/kernel $d/extra /boot; : > $d/modules.dep; }
put() { cp /m/$1 $d/$2; }
install() { put $1 $2; echo "$2:" > $d/modules.dep; }
boot_file() { cp /m/$1 /boot/initrd.img-$(uname -r); }
pack() {
    rm -rf /p; mkdir -p /p/lib/modules/$(uname -r)/x /p/etc
    [ $1 = none ] || cp /m/$1 /p/lib/modules/$(uname -r)/x/kdeps_guest.ko
    echo hosts > /p/etc/hosts
    (cd /p && find . | cpio -o -H newc 2>/dev/null | gzip > /boot/initrd.img-$(uname -r))
}
"""


def combine(*statuses: int) -> int:
    """The status of several links: stale wins, then unknown."""
    return STALE if STALE in statuses else max(statuses)


def make_scenarios() -> list[Scenario]:
    """Every installed copy with every loaded one, and every packed one with three of them; what takes long comes last."""
    found = []
    for loaded, (load, loaded_kind, loaded_status) in LOADED.items():
        for installed, (put, installed_kind, installed_status) in INSTALLED.items():
            if loaded_kind in ("coming", "going") and installed != "new":
                continue
            kinds = {"installed": installed_kind, "loaded": loaded_kind, "booted": "same-release"}
            script = f"{put}\n{load}"
            status = combine(installed_status, loaded_status)
            found.append(Scenario(f"{installed} installed, {loaded} loaded", script, status, kinds))
    for packed, (pack, packed_kind, packed_status) in PACKED.items():
        for loaded in ("unloaded", "new", "old"):
            load, loaded_kind, loaded_status = LOADED[loaded]
            kinds = {"initramfs": packed_kind, "loaded": loaded_kind}
            found.append(
                Scenario(
                    f"{packed} packed, {loaded} loaded", f"{pack}\n{load}",
                    combine(packed_status, loaded_status), kinds,
                )
            )  # fmt: skip
    return sorted(found, key=Scenario.is_passing)
