// SPDX-License-Identifier: Apache-2.0
// The built-in guest "walker": what its program (walker.S) and its host (Machine) share.
//
// x86-64 in long mode with an identity map; no firmware, no kernel, no interrupts. Every vCPU
// owns a slice of guest memory and walks over it for ever: it verifies a page, changes it, goes on
// to the next. It talks to its host through two I/O ports and through its block, one page of guest
// memory for every vCPU.
#ifndef APUS_CGUEST_H
#define APUS_CGUEST_H

#include "cguest_toucher.h"

// Where things lie in guest physical memory.
#define CGUEST_PAGE_TABLES 0x2000    // PML4, then one PDPT
#define CGUEST_PROGRAM 0x10000
#define CGUEST_BLOCKS 0x20000        // one page for each vCPU
#define CGUEST_PAGE_DIRECTORIES 0x100000  // one page for each GiB of addresses
#define CGUEST_SLICES 0x200000       // the slices begin here, one behind the other
#define CGUEST_MOST_VCPUS 64
#define CGUEST_MOST_GIBIBYTES 256    // addresses that fit the page directories

// Whatever is written here is a sign of progress: the pages visited so far, 32 bits of them.
#define CGUEST_PORT_HEARTBEAT 0xE9
// Anything written here ends the run: the block says what was wrong.
#define CGUEST_PORT_CORRUPTION 0xEA

#define CGUEST_ORDER_STRIDED 0  // sequential is stride 1
#define CGUEST_ORDER_RANDOM 1

// What was wrong.
#define CGUEST_CORRUPT_NUMBER 1      // another page's contents, or none
#define CGUEST_CORRUPT_GENERATION 2  // an older or newer version of the page
#define CGUEST_CORRUPT_CHECKSUM 3    // the payload is not what was written
#define CGUEST_CORRUPT_ZERO 4        // a page that stays zero is not zero

// A page: a header of 64 bytes, of which 24 are used, and a payload of 504 words.
#define CGUEST_PAGE_NUMBER 0      // guest physical address >> 12
#define CGUEST_PAGE_GENERATION 8  // how many times the page has been visited
#define CGUEST_PAGE_CHECKSUM 16   // sum of the payload's words
#define CGUEST_PAGE_PAYLOAD 64
#define CGUEST_PAYLOAD_WORDS 504
#define CGUEST_CHANGED_WORDS 8    // in every visit

// Page n of a slice stays zero when (n * CGUEST_ZERO_FACTOR) % 100 < zero_percent.
#define CGUEST_ZERO_FACTOR 37

// Offsets in struct cguest_block, for the assembler.
#define CGUEST_BLOCK_FIRST_PAGE 0
#define CGUEST_BLOCK_WORKING_SET 8
#define CGUEST_BLOCK_LOW_PAGES 16
#define CGUEST_BLOCK_HOLE_PAGES 24
#define CGUEST_BLOCK_ORDER 32
#define CGUEST_BLOCK_STRIDE 40
#define CGUEST_BLOCK_MASK 48
#define CGUEST_BLOCK_SHIFT 56
#define CGUEST_BLOCK_MULTIPLIER 64
#define CGUEST_BLOCK_INCREMENT 72
#define CGUEST_BLOCK_ZERO_PERCENT 80
#define CGUEST_BLOCK_CHANGE_STEP 88
#define CGUEST_BLOCK_CHANGE_CYCLE 96
#define CGUEST_BLOCK_INTERVAL 104
#define CGUEST_BLOCK_ITERATIONS 1024
#define CGUEST_BLOCK_PASSES 1032
#define CGUEST_BLOCK_LARGEST_GAP 1040
#define CGUEST_BLOCK_LAST_TSC 1048
#define CGUEST_BLOCK_HEARTBEATS 1056
#define CGUEST_BLOCK_TSC_REGRESSIONS 1064
#define CGUEST_BLOCK_CORRUPT_KIND 2048
#define CGUEST_BLOCK_CORRUPT_PAGE 2056
#define CGUEST_BLOCK_CORRUPT_EXPECTED 2064
#define CGUEST_BLOCK_CORRUPT_FOUND 2072

#ifndef __ASSEMBLER__

#include <stddef.h>
#include <stdint.h>

/// What the host tells a vCPU before it starts.
struct cguest_parameters {
    /// First page of the slice, counted through all memory without the hole.
    uint64_t first_page;
    /// Pages of the slice to walk over; zero means to idle and only to beat.
    uint64_t working_set;
    /// Pages below the hole in physical addresses, and pages the hole is wide.
    uint64_t low_pages;
    uint64_t hole_pages;
    /// CGUEST_ORDER_*.
    uint64_t order;
    /// Strided order: pages from one to the next.
    uint64_t stride;
    /// Random order: the power of two at or above the working set, less one.
    uint64_t mask;
    /// Random order: the high half of a number is folded into the low one by this shift.
    uint64_t shift;
    /// Linear congruential generator, of page order and of contents.
    uint64_t multiplier;
    uint64_t increment;
    /// How many of 100 pages stay zero.
    uint64_t zero_percent;
    /// Bytes between two words that one visit changes.
    uint64_t change_step;
    /// Visits after which the same words are changed again.
    uint64_t change_cycle;
    /// TSC ticks between two heartbeats.
    uint64_t heartbeat_interval;
};

/// What a vCPU counts; every field is written by the guest alone.
struct cguest_counters {
    /// Pages visited.
    uint64_t iterations;
    /// Completed walks over the working set.
    uint64_t passes;
    /// Most TSC ticks between two iterations.
    uint64_t largest_gap;
    uint64_t last_tsc;
    uint64_t heartbeats;
    /// Times that the TSC was lower than at the iteration before.
    uint64_t tsc_regressions;
};

/// The first thing found wrong; all zero until then.
struct cguest_corruption {
    /// CGUEST_CORRUPT_*.
    uint64_t kind;
    /// Page number: guest physical address >> 12.
    uint64_t page;
    uint64_t expected;
    uint64_t found;
};

/// One page of guest memory for every vCPU; its parts are far apart, as one side writes each.
struct cguest_block {
    struct cguest_parameters parameters;
    uint8_t reserved_a[1024 - sizeof(struct cguest_parameters)];
    struct cguest_counters counters;
    uint8_t reserved_b[1024 - sizeof(struct cguest_counters)];
    struct cguest_corruption corruption;
    uint8_t reserved_c[2048 - sizeof(struct cguest_corruption)];
};

/// The program: position-independent, entered at its first byte with the address of the block in
/// RDI. It uses no stack.
extern const uint8_t cguest_walker_start[];
extern const uint8_t cguest_walker_end[];

/// The program's first byte. (An array of unknown length does not import.)
static inline const uint8_t *cguest_program(void) { return cguest_walker_start; }

/// Bytes of the program.
static inline size_t cguest_program_byte_count(void) {
    return (size_t)(cguest_walker_end - cguest_walker_start);
}

#endif
#endif
