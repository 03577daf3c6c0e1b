// SPDX-License-Identifier: Apache-2.0
// The built-in guest "toucher": writes a word into every page of a range once, then says so. It
// is what `apus bench demand-paging` runs; see CGuest.h for the other guest.
#ifndef APUS_CGUEST_TOUCHER_H
#define APUS_CGUEST_TOUCHER_H

// A byte written here says that every page has been touched.
#define CGUEST_PORT_TOUCHED 0xEB

// Offsets in struct cguest_touch, for the assembler.
#define CGUEST_TOUCH_ADDRESS 0
#define CGUEST_TOUCH_PAGES 8
#define CGUEST_TOUCH_WORD 16

#ifndef __ASSEMBLER__

#include <stddef.h>
#include <stdint.h>

/// What the host tells a vCPU before it starts.
struct cguest_touch {
    /// Guest physical address of the first page.
    uint64_t address;
    /// Pages of 4096 bytes, at least one.
    uint64_t pages;
    /// Written to the first eight bytes of each.
    uint64_t word;
};

/// The program: position-independent, entered at its first byte with the address of a struct
/// cguest_touch in RDI. It uses no stack.
extern const uint8_t cguest_toucher_start[];
extern const uint8_t cguest_toucher_end[];

/// The program's first byte. (An array of unknown length does not import.)
static inline const uint8_t *cguest_toucher(void) { return cguest_toucher_start; }

/// Bytes of the program.
static inline size_t cguest_toucher_byte_count(void) {
    return (size_t)(cguest_toucher_end - cguest_toucher_start);
}

#endif
#endif
