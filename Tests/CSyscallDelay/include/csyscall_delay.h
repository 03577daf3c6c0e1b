// SPDX-License-Identifier: Apache-2.0
// Makes one system call of a thread late, without the thread's code knowing.
#ifndef APUS_CSYSCALL_DELAY_H
#define APUS_CSYSCALL_DELAY_H

#include <stdint.h>
#include <sys/syscall.h>

/// Numbers of system calls, which Swift does not import.
enum { CSYSCALL_IOCTL = SYS_ioctl, CSYSCALL_TGKILL = SYS_tgkill };

/// From now on a system call of the calling thread, and of threads that it starts, begins late.
///
/// For good: let a thread that ends soon call this. Kernel interface: seccomp(2),
/// SECCOMP_RET_USER_NOTIF, SECCOMP_USER_NOTIF_FLAG_CONTINUE (Linux 5.5).
///
/// - number: Which system call.
/// - request: Of ioctl(2), the only request that is late; 0 for all calls of that number.
/// - microseconds: How late, below one second.
/// - Returns: 0, or -errno.
int csyscall_delay(long number, uint32_t request, uint32_t microseconds);

#endif
