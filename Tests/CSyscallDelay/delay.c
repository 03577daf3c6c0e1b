// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "csyscall_delay.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

struct delay {
    uint32_t microseconds;
    // Where the kernel tells of calls: 0 until it is known, negative if it never will be.
    atomic_int listener;
};

// Lets each call go on when its time has come; ends with the last thread that makes such calls.
static void *supervise(void *argument) {
    struct delay *delay = argument;
    int listener;
    while ((listener = atomic_load(&delay->listener)) == 0) usleep(100);
    while (listener > 0) {
        struct pollfd ready = {.fd = listener, .events = POLLIN};
        if (poll(&ready, 1, -1) < 0 && errno != EINTR) break;
        if (ready.revents & (POLLHUP | POLLERR)) break;
        if (!(ready.revents & POLLIN)) continue;
        struct seccomp_notif call;
        memset(&call, 0, sizeof call);
        // The call is gone if a signal has ended it meanwhile; so is its answer below.
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) != 0) continue;
        usleep(delay->microseconds);
        struct seccomp_notif_resp answer = {
            .id = call.id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
        ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
    }
    if (listener > 0) close(listener);
    free(delay);
    return NULL;
}

static int install(long number, uint32_t request) {
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, request, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    // Without a request: the call's number alone decides.
    struct sock_filter any[] = {
        program[0],
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 1),
        program[4],
        program[5],
    };
    struct sock_fprog filter = {
        .len = request == 0 ? 4 : 6,
        .filter = request == 0 ? any : program,
    };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -errno;
    long listener = syscall(
        SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter);
    return listener < 0 ? -errno : (int)listener;
}

int csyscall_delay(long number, uint32_t request, uint32_t microseconds) {
    struct delay *delay = calloc(1, sizeof *delay);
    if (delay == NULL) return -ENOMEM;
    delay->microseconds = microseconds;
    // Before the filter, which it would inherit.
    pthread_t supervisor;
    int error = pthread_create(&supervisor, NULL, supervise, delay);
    if (error != 0) {
        free(delay);
        return -error;
    }
    pthread_detach(supervisor);
    int listener = install(number, request);
    atomic_store(&delay->listener, listener);
    return listener < 0 ? listener : 0;
}
