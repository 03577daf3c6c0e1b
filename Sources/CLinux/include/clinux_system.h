// SPDX-License-Identifier: Apache-2.0
#ifndef APUS_CLINUX_SYSTEM_H
#define APUS_CLINUX_SYSTEM_H

#include <errno.h>
#include <linux/futex.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/// ioctl with a pointer argument. `ioctl` is variadic and does not import.
static inline int clinux_ioctl(int fd, unsigned long request, void *argument) {
    int result = ioctl(fd, request, argument);
    return result < 0 ? -errno : result;
}

/// ioctl whose argument is a number.
static inline int clinux_ioctl_value(int fd, unsigned long request, unsigned long argument) {
    int result = ioctl(fd, request, argument);
    return result < 0 ? -errno : result;
}

/// Opens a file with O_CLOEXEC added. `open` is variadic and does not import.
int clinux_open(const char *path, int flags);

/// Opens a file to add to its end, with O_CLOEXEC added; creates it with mode 0644 where there is
/// none.
int clinux_open_appending(const char *path, int flags);

/// Opens a file with O_CLOEXEC and O_DIRECT added.
int clinux_open_direct(const char *path, int flags);

/// Opens a TAP interface, made where there is none, for frames as they are and without waiting.
int clinux_tap(const char *name);

/// Whether a descriptor is open for writing: 1 or 0, -EBADF for what is none (F_GETFL).
int clinux_is_writable(int fd);

/// memfd_create(2), a GNU extension, with sealing allowed.
int clinux_memfd_create(const char *name);

/// The same, of huge pages of 2 MiB.
int clinux_memfd_create_huge(const char *name);

/// Fixes the size of a memfd for good (F_ADD_SEALS). `fcntl` is variadic and does not import.
int clinux_seal_size(int fd);

/// Sets or clears O_NONBLOCK.
int clinux_set_nonblocking(int fd, int enabled);

/// eventfd(2), non-blocking and close-on-exec.
int clinux_eventfd(void);

/// epoll_create1(2), close-on-exec.
int clinux_epoll(void);

/// EPOLL_CTL_ADD for EPOLLIN; of those that wait for it exclusively, an event wakes one.
int clinux_epoll_add(int epoll, int fd, uint64_t tag, int exclusive);

/// epoll_wait(2) for one event, without a limit; stores its tag.
int clinux_epoll_wait(int epoll, uint64_t *tag);

/// signalfd(2) for a set, non-blocking and close-on-exec.
int clinux_signalfd(const sigset_t *set);

/// accept4(2) with SOCK_CLOEXEC, a GNU extension.
int clinux_accept(int fd);

/// FUTEX_WAIT on memory of this process; a null timeout waits for ever.
int clinux_futex_wait(const uint32_t *address, uint32_t expected, const struct timespec *timeout);

/// FUTEX_WAKE on memory of this process; returns how many threads were woken.
int clinux_futex_wake(const uint32_t *address, int count);

/// FUTEX_WAIT on memory that other processes may share; the timeout bounds it.
int clinux_shared_futex_wait(const uint32_t *address, uint32_t expected,
                             const struct timespec *timeout);

/// FUTEX_WAKE on memory that other processes may share; returns how many threads were woken.
int clinux_shared_futex_wake(const uint32_t *address, int count);

/// Whether a memfd's size is fixed for good: 1 or 0, -EINVAL for what is no memfd (F_GET_SEALS).
int clinux_size_is_sealed(int fd);

/// sendmsg(2) with one descriptor beside the bytes (SCM_RIGHTS); returns how many bytes went.
int clinux_send_descriptor(int fd, const void *bytes, size_t count, int descriptor);

/// recvmsg(2) that takes one descriptor, close-on-exec, or sets it to -1; the kernel closes any
/// more. Returns how many bytes came.
int clinux_receive_descriptor(int fd, void *bytes, size_t count, int *descriptor);

/// pthread_setname_np for the calling thread; the name is cut to 15 bytes.
void clinux_set_thread_name(const char *name);

/// Thread id of the caller, as the kernel's task id.
int clinux_gettid(void);

/// Sets the caller's nice value and how long it runs at a time: zero, or `-errno`.
/// Kernel interface: sched_setattr(2); a slice of one's own since Linux 6.12, ignored before.
int clinux_set_slice(int nice, uint64_t slice_nanoseconds);

/// Processors the caller may run on, or `-errno`. Kernel interface: sched_getaffinity(2).
int clinux_usable_processors(void);

/// Installs `handler` for `signal` without SA_RESTART, so that blocking calls return EINTR.
int clinux_install_handler(int signal, void (*handler)(int));

/// The first real-time signal that the C library leaves to programs.
int clinux_sigrtmin(void);

/// Symbolic name of an errno ("EAGAIN"), or null when it has none.
const char *clinux_errno_name(int code);

/// Tells the processor that the caller spins: lets a sibling thread run, saves power.
static inline void clinux_spin_hint(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory");
#endif
}

/// CLOCK_MONOTONIC in nanoseconds.
static inline uint64_t clinux_monotonic_nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/// CPU time used by the calling process, all threads, in nanoseconds.
static inline uint64_t clinux_process_cpu_nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#endif
