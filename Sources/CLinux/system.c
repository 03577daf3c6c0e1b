// SPDX-License-Identifier: Apache-2.0
// Wrappers that need GNU declarations, which the Swift importer does not see.
#define _GNU_SOURCE
#include "CLinux.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/memfd.h>
#include <net/if.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

static int result(long value) { return value < 0 ? -errno : (int)value; }

int clinux_open(const char *path, int flags) { return result(open(path, flags | O_CLOEXEC)); }

int clinux_open_appending(const char *path, int flags) {
    return result(open(path, flags | O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY | O_CLOEXEC, 0644));
}

int clinux_open_direct(const char *path, int flags) { return clinux_open(path, flags | O_DIRECT); }

int clinux_tap(const char *name) {
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    if (strlen(name) >= sizeof request.ifr_name) return -ENAMETOOLONG;
    strcpy(request.ifr_name, name);
    int fd = clinux_open("/dev/net/tun", O_RDWR | O_NONBLOCK);
    if (fd < 0) return fd;
    // An interface that was made before keeps the offloads of whoever had it: a guest, whose card
    // has no header for them, would get frames that are too long, and without checksums.
    if (ioctl(fd, TUNSETIFF, &request) < 0 || ioctl(fd, TUNSETOFFLOAD, 0) < 0) {
        int code = errno;
        close(fd);
        return -code;
    }
    return fd;
}

int clinux_is_writable(int fd) {
    int flags = fcntl(fd, F_GETFL);
    return flags < 0 ? -errno : (flags & O_ACCMODE) != O_RDONLY;
}

int clinux_memfd_create(const char *name) {
    return result(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
}

int clinux_memfd_create_huge(const char *name) {
    unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB | MFD_HUGE_2MB;
    return result(memfd_create(name, flags));
}

int clinux_seal_size(int fd) {
    return result(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL));
}

int clinux_set_nonblocking(int fd, int enabled) {
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0) return -errno;
    return result(fcntl(fd, F_SETFL, enabled ? flags | O_NONBLOCK : flags & ~O_NONBLOCK));
}

int clinux_eventfd(void) { return result(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)); }

int clinux_epoll(void) { return result(epoll_create1(EPOLL_CLOEXEC)); }

int clinux_epoll_add(int epoll, int fd, uint64_t tag, int exclusive) {
    struct epoll_event event = {
        .events = EPOLLIN | (exclusive ? EPOLLEXCLUSIVE : 0),
        .data.u64 = tag,
    };
    return result(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
}

int clinux_epoll_wait(int epoll, uint64_t *tag) {
    struct epoll_event event;
    int count = epoll_wait(epoll, &event, 1, -1);
    if (count > 0) *tag = event.data.u64;
    return result(count);
}

int clinux_signalfd(const sigset_t *set) {
    return result(signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK));
}

int clinux_accept(int fd) { return result(accept4(fd, NULL, NULL, SOCK_CLOEXEC)); }

int clinux_futex_wait(const uint32_t *address, uint32_t expected, const struct timespec *timeout) {
    return result(syscall(SYS_futex, address, FUTEX_WAIT_PRIVATE, expected, timeout, NULL, 0));
}

int clinux_futex_wake(const uint32_t *address, int count) {
    return result(syscall(SYS_futex, address, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0));
}

int clinux_shared_futex_wait(const uint32_t *address, uint32_t expected,
                             const struct timespec *timeout) {
    return result(syscall(SYS_futex, address, FUTEX_WAIT, expected, timeout, NULL, 0));
}

int clinux_shared_futex_wake(const uint32_t *address, int count) {
    return result(syscall(SYS_futex, address, FUTEX_WAKE, count, NULL, NULL, 0));
}

int clinux_size_is_sealed(int fd) {
    int wanted = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
    int seals = fcntl(fd, F_GET_SEALS);
    return seals < 0 ? -errno : (seals & wanted) == wanted;
}

// Room for one descriptor, aligned as a control message.
union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
};

int clinux_send_descriptor(int fd, const void *bytes, size_t count, int descriptor) {
    union control control = {.bytes = {0}};
    struct iovec part = {.iov_base = (void *)bytes, .iov_len = count};
    struct msghdr message = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof control,
    };
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof descriptor);
    memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
    return result(sendmsg(fd, &message, MSG_NOSIGNAL));
}

int clinux_receive_descriptor(int fd, void *bytes, size_t count, int *descriptor) {
    union control control;
    struct iovec part = {.iov_base = bytes, .iov_len = count};
    struct msghdr message = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = &control,
        // The padding of a whole control would hold a second descriptor.
        .msg_controllen = CMSG_LEN(sizeof *descriptor),
    };
    *descriptor = -1;
    ssize_t received = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    if (received < 0) return -errno;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
        header->cmsg_len == CMSG_LEN(sizeof *descriptor)) {
        memcpy(descriptor, CMSG_DATA(header), sizeof *descriptor);
    }
    return (int)received;
}

void clinux_set_thread_name(const char *name) {
    char cut[16] = {0};
    strncpy(cut, name, sizeof cut - 1);
    pthread_setname_np(pthread_self(), cut);
}

int clinux_gettid(void) { return (int)gettid(); }

int clinux_usable_processors(void) {
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) < 0 ? -errno : CPU_COUNT(&set);
}

int clinux_install_handler(int signal, void (*handler)(int)) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    sigemptyset(&action.sa_mask);
    return result(sigaction(signal, &action, NULL));
}

int clinux_sigrtmin(void) { return SIGRTMIN; }

const char *clinux_errno_name(int code) { return strerrorname_np(code); }

int clinux_set_slice(int nice, uint64_t slice_nanoseconds) {
    // Kernel ABI: struct sched_attr, its first version.
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } attributes = {.size = 48, .nice = nice, .runtime = slice_nanoseconds};
    return syscall(SYS_sched_setattr, 0, &attributes, 0) < 0 ? -errno : 0;
}
