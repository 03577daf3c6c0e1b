// SPDX-License-Identifier: Apache-2.0
// /dev/kvm: see Documentation/virt/kvm/api.rst in the kernel source.
#ifndef APUS_CLINUX_KVM_H
#define APUS_CLINUX_KVM_H

#include <linux/kvm.h>

#endif
