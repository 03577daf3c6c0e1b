// SPDX-License-Identifier: Apache-2.0
// Counts heap allocations, by taking the place of malloc and its relatives
// in the program that this is linked into.
#ifndef APUS_CALLOCATIONCOUNTER_H
#define APUS_CALLOCATIONCOUNTER_H

#include <stdint.h>

/// Whether allocations are counted: not under a sanitizer, which has a malloc of its own.
int callocation_is_counting(void);

/// Allocations that the calling thread has made so far.
uint64_t callocation_count(void);

/// Allocations that all threads of the process have made so far.
uint64_t callocation_total(void);

#endif
