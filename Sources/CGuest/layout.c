// SPDX-License-Identifier: Apache-2.0
// The offsets that the assembler uses are those of the C structures.
#include "CGuest.h"

#define PARAMETER(offset, field)                                                                  \
    _Static_assert(offset == offsetof(struct cguest_block, parameters.field), #field)
#define COUNTER(offset, field)                                                                    \
    _Static_assert(offset == offsetof(struct cguest_block, counters.field), #field)
#define CORRUPTION(offset, field)                                                                 \
    _Static_assert(offset == offsetof(struct cguest_block, corruption.field), #field)

PARAMETER(CGUEST_BLOCK_FIRST_PAGE, first_page);
PARAMETER(CGUEST_BLOCK_WORKING_SET, working_set);
PARAMETER(CGUEST_BLOCK_LOW_PAGES, low_pages);
PARAMETER(CGUEST_BLOCK_HOLE_PAGES, hole_pages);
PARAMETER(CGUEST_BLOCK_ORDER, order);
PARAMETER(CGUEST_BLOCK_STRIDE, stride);
PARAMETER(CGUEST_BLOCK_MASK, mask);
PARAMETER(CGUEST_BLOCK_SHIFT, shift);
PARAMETER(CGUEST_BLOCK_MULTIPLIER, multiplier);
PARAMETER(CGUEST_BLOCK_INCREMENT, increment);
PARAMETER(CGUEST_BLOCK_ZERO_PERCENT, zero_percent);
PARAMETER(CGUEST_BLOCK_CHANGE_STEP, change_step);
PARAMETER(CGUEST_BLOCK_CHANGE_CYCLE, change_cycle);
PARAMETER(CGUEST_BLOCK_INTERVAL, heartbeat_interval);
COUNTER(CGUEST_BLOCK_ITERATIONS, iterations);
COUNTER(CGUEST_BLOCK_PASSES, passes);
COUNTER(CGUEST_BLOCK_LARGEST_GAP, largest_gap);
COUNTER(CGUEST_BLOCK_LAST_TSC, last_tsc);
COUNTER(CGUEST_BLOCK_HEARTBEATS, heartbeats);
COUNTER(CGUEST_BLOCK_TSC_REGRESSIONS, tsc_regressions);
CORRUPTION(CGUEST_BLOCK_CORRUPT_KIND, kind);
CORRUPTION(CGUEST_BLOCK_CORRUPT_PAGE, page);
CORRUPTION(CGUEST_BLOCK_CORRUPT_EXPECTED, expected);
CORRUPTION(CGUEST_BLOCK_CORRUPT_FOUND, found);

_Static_assert(CGUEST_TOUCH_ADDRESS == offsetof(struct cguest_touch, address), "address");
_Static_assert(CGUEST_TOUCH_PAGES == offsetof(struct cguest_touch, pages), "pages");
_Static_assert(CGUEST_TOUCH_WORD == offsetof(struct cguest_touch, word), "word");

_Static_assert(sizeof(struct cguest_block) == 4096, "one page for each vCPU");
_Static_assert(CGUEST_PAGE_PAYLOAD + 8 * CGUEST_PAYLOAD_WORDS == 4096, "a page");
_Static_assert(CGUEST_BLOCKS + 4096 * CGUEST_MOST_VCPUS <= CGUEST_PAGE_DIRECTORIES, "blocks");
_Static_assert(CGUEST_PAGE_DIRECTORIES + 4096 * CGUEST_MOST_GIBIBYTES <= CGUEST_SLICES,
               "page directories");
