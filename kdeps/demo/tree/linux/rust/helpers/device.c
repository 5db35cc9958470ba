// SPDX-License-Identifier: GPL-2.0-only OR MIT

void *rust_helper_dev_get_drvdata(struct device *dev)
{
	return dev;
}
