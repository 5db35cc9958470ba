/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
#include <linux/device.h>

#define PCI_VENDOR_ID_NVIDIA 0x10de
#ifdef CONFIG_PCI
int pci_enable_device(struct pci_dev *dev);
#endif
#ifdef CONFIG_DEBUG_FS
void pci_debugfs_add(struct pci_dev *dev);
#endif
