// SPDX-License-Identifier: Apache-2.0
// Kernel interfaces that Swift cannot import by itself: numbers, inline wrappers, static asserts.
// No logic. Every wrapper returns what the call returned, or -errno when it failed.
#ifndef APUS_CLINUX_H
#define APUS_CLINUX_H

#include "clinux_kvm.h"
#include "clinux_system.h"
#include "clinux_userfaultfd.h"

#endif
