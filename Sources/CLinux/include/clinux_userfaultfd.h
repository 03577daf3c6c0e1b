// SPDX-License-Identifier: Apache-2.0
// userfaultfd(2) and ioctl_userfaultfd(2). Numbers come from the kernel header, never from hand.
#ifndef APUS_CLINUX_USERFAULTFD_H
#define APUS_CLINUX_USERFAULTFD_H

#include <linux/userfaultfd.h>
#include <stdint.h>

// An enum with a fixed type imports as UInt; function-like macros do not import at all.
enum : unsigned long {
    CLINUX_USERFAULTFD_IOC_NEW = USERFAULTFD_IOC_NEW,
    CLINUX_UFFDIO_API = UFFDIO_API,
    CLINUX_UFFDIO_REGISTER = UFFDIO_REGISTER,
    CLINUX_UFFDIO_UNREGISTER = UFFDIO_UNREGISTER,
    CLINUX_UFFDIO_WAKE = UFFDIO_WAKE,
    CLINUX_UFFDIO_COPY = UFFDIO_COPY,
    CLINUX_UFFDIO_ZEROPAGE = UFFDIO_ZEROPAGE,
    CLINUX_UFFDIO_CONTINUE = UFFDIO_CONTINUE,
};

enum : uint64_t {
    CLINUX_UFFD_FEATURE_THREAD_ID = UFFD_FEATURE_THREAD_ID,
    CLINUX_UFFD_FEATURE_MISSING_SHMEM = UFFD_FEATURE_MISSING_SHMEM,
    CLINUX_UFFD_FEATURE_MINOR_SHMEM = UFFD_FEATURE_MINOR_SHMEM,
    CLINUX_UFFD_FEATURE_MISSING_HUGETLBFS = UFFD_FEATURE_MISSING_HUGETLBFS,
    CLINUX_UFFD_FEATURE_MINOR_HUGETLBFS = UFFD_FEATURE_MINOR_HUGETLBFS,
    CLINUX_UFFD_REGISTER_MISSING = UFFDIO_REGISTER_MODE_MISSING,
    CLINUX_UFFD_REGISTER_MINOR = UFFDIO_REGISTER_MODE_MINOR,
    CLINUX_UFFD_COPY_DONTWAKE = UFFDIO_COPY_MODE_DONTWAKE,
    CLINUX_UFFD_ZEROPAGE_DONTWAKE = UFFDIO_ZEROPAGE_MODE_DONTWAKE,
    CLINUX_UFFD_CONTINUE_DONTWAKE = UFFDIO_CONTINUE_MODE_DONTWAKE,
};

_Static_assert(sizeof(struct uffd_msg) == 32, "uffd_msg layout");
_Static_assert(sizeof(struct uffdio_copy) == 40, "uffdio_copy layout");
_Static_assert(sizeof(struct uffdio_zeropage) == 32, "uffdio_zeropage layout");
_Static_assert(sizeof(struct uffdio_continue) == 32, "uffdio_continue layout");

/// For a userfaultfd that sees no touches by the kernel, which anyone may have.
enum : int32_t { CLINUX_UFFD_USER_MODE_ONLY = UFFD_USER_MODE_ONLY };

/// userfaultfd(2): the C library has no wrapper for it.
int clinux_userfaultfd(int flags);

#endif
