// SPDX-License-Identifier: Apache-2.0
// liblz4, as the distribution ships it.
#include <lz4.h>
