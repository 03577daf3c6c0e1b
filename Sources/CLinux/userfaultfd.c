// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "CLinux.h"

#include <fcntl.h>
#include <sys/syscall.h>

int clinux_userfaultfd(int flags) {
    long fd = syscall(SYS_userfaultfd, flags | O_CLOEXEC | O_NONBLOCK);
    return fd < 0 ? -errno : (int)fd;
}
