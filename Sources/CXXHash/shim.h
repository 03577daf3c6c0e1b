// SPDX-License-Identifier: Apache-2.0
// libxxhash, as the distribution ships it.
#include <xxhash.h>
