// SPDX-License-Identifier: Apache-2.0
// libxxhash, as the distribution ships it.
#include <xxhash.h>
#if defined(__x86_64__)
// The widest instructions that the processor at hand has; the hash is the same.
#include <xxh_x86dispatch.h>
#endif

static inline XXH128_hash_t cxxhash_128(const void *bytes, size_t count, XXH64_hash_t seed)
{
    return XXH3_128bits_withSeed(bytes, count, seed);
}
