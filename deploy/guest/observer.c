// SPDX-License-Identifier: Apache-2.0
// The first and only process of a Linux guest that is migrated in tests and in scripts/demo.
//
// One thread beats: every 5 ms, pinned to the first processor, it writes a byte to the debug port
// 0xE9, by which the host measures the gap from outside. One thread on each processor rewrites and
// verifies its part of a stretch of memory for ever, and measures the largest time between two of
// its steps by TSC, CLOCK_MONOTONIC and CLOCK_REALTIME. The first thread reports once a second:
//
//   observer: N s, P pages verified, gap tsc A us monotonic B us realtime C us, wall SECONDS
//
// With load=build it also does on each processor what a build does to a kernel: one process after
// another is forked, writes a file, maps it, and verifies it as it writes to its own copy.
//
// A line that comes in by the console is said again. Of the kernel's command line it takes
// memory=MIB (64; 0 idles), and for=SECONDS: then it powers off, or with end=reboot resets.
// Corrupted memory is reported on the console, and ends in a power off.
//
// With virtio devices it does more. disk=1 writes numbered records to the first disk for ever,
// past the page cache and each made durable before the next, and reads earlier ones back to verify
// them; it says `observer: N records durable` once a second. library=1 reads such records from the
// second disk for ever, which cannot be written, and says `observer: N records read`.
// answer=ADDRESS answers UDP datagrams to port 7 of that address with what they hold. hvc=1 says
// again on the virtio console what comes in by it.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

enum { PAGE = 4096, WORDS = PAGE / 8, HEARTBEAT_PORT = 0xE9, MOST_WORKERS = 64, UNIT_PAGES = 256 };

struct gaps {
    _Atomic uint64_t tsc, monotonic, realtime;
};

struct worker {
    pthread_t thread;
    int processor;
    uint64_t *memory;
    size_t pages;
    _Atomic uint64_t verified;
    struct gaps gaps;
};

static struct worker workers[MOST_WORKERS];
static int worker_count;

static void say(const char *format, ...) {
    char line[256];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    // One write, so that lines stay whole.
    if (length > 0 && write(1, line, (size_t)length) < 0) abort();
}

static void end(int how) {
    sync();
    reboot(how);
    for (;;) pause();
}

static uint64_t nanoseconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void pin(int processor) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0) say("observer: pinning: %d\n", errno);
}

static void note(_Atomic uint64_t *largest, uint64_t now, uint64_t *last) {
    if (now > *last && now - *last > atomic_load_explicit(largest, memory_order_relaxed))
        atomic_store_explicit(largest, now - *last, memory_order_relaxed);
    *last = now;
}

// Every word of a page follows from the page's place and its generation, in the first word.
static uint64_t pattern(uint64_t place, uint64_t generation, int word) {
    return (place * 0x9E3779B97F4A7C15u) ^ (generation * 0xBF58476D1CE4E5B9u) ^ (uint64_t)word;
}

static void verify(const uint64_t *page, uint64_t place, uint64_t generation) {
    for (int word = 0; word < WORDS; word++) {
        uint64_t expected = word == 0 ? generation : pattern(place, generation, word);
        if (page[word] != expected) {
            say("observer: CORRUPTION: page %llu word %d is 0x%llx, expected 0x%llx\n",
                (unsigned long long)place, word, (unsigned long long)page[word],
                (unsigned long long)expected);
            end(RB_POWER_OFF);
        }
    }
}

static void fill(uint64_t *page, uint64_t place, uint64_t generation) {
    page[0] = generation;
    for (int word = 1; word < WORDS; word++) page[word] = pattern(place, generation, word);
}

static void *work(void *argument) {
    struct worker *self = argument;
    pin(self->processor);
    uint64_t base = (uint64_t)self->processor << 32;
    for (size_t page = 0; page < self->pages; page++)
        fill(self->memory + page * WORDS, base + page, 0);
    uint64_t tsc = __rdtsc(), monotonic = nanoseconds(CLOCK_MONOTONIC);
    uint64_t realtime = nanoseconds(CLOCK_REALTIME);
    for (uint64_t generation = 0;; generation++) {
        for (size_t page = 0; page < self->pages; page++) {
            uint64_t *memory = self->memory + page * WORDS;
            verify(memory, base + page, generation);
            fill(memory, base + page, generation + 1);
            note(&self->gaps.tsc, __rdtsc(), &tsc);
            note(&self->gaps.monotonic, nanoseconds(CLOCK_MONOTONIC), &monotonic);
            note(&self->gaps.realtime, nanoseconds(CLOCK_REALTIME), &realtime);
            atomic_fetch_add_explicit(&self->verified, 1, memory_order_relaxed);
        }
    }
    return NULL;
}

// One unit of a build, in a process of its own.
static void compile(uint64_t place, uint64_t generation) {
    static uint64_t page[WORDS];
    char name[32];
    snprintf(name, sizeof name, "/unit-%llu", (unsigned long long)(place >> 32));
    int file = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
    for (uint64_t index = 0; index < UNIT_PAGES; index++) {
        fill(page, place + index, generation);
        if (write(file, page, PAGE) != PAGE) _exit(1);
    }
    uint64_t *mapped =
        mmap(NULL, UNIT_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
    if (mapped == MAP_FAILED) _exit(1);
    for (uint64_t index = 0; index < UNIT_PAGES; index++) {
        verify(mapped + index * WORDS, place + index, generation);
        mapped[index * WORDS] = 0;
    }
    _exit(0);
}

static void build(int processor, _Atomic uint64_t *verified) {
    pin(processor);
    // Apart from the places of the workers.
    uint64_t place = (uint64_t)(processor + MOST_WORKERS) << 32;
    for (uint64_t generation = 0;; generation++) {
        pid_t child = fork();
        if (child == 0) compile(place, generation);
        int status = -1;
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
            say("observer: CORRUPTION: a build ended with %d, %d\n", status, errno);
            end(RB_POWER_OFF);
        }
        atomic_fetch_add(verified, UNIT_PAGES);
    }
}

static void *beat(void *unused) {
    (void)unused;
    pin(0);
    struct sched_param urgent = {.sched_priority = 50};
    sched_setscheduler(0, SCHED_FIFO, &urgent);
    // By the kernel, not by ioperm: QEMU's emulation takes no busy TSS for its permission bitmap,
    // which is what KVM makes of it when the guest is moved, and OUT then faults.
    mknod("/dev/port", S_IFCHR | 0600, makedev(1, 4));
    int ports = open("/dev/port", O_WRONLY);
    if (ports < 0) say("observer: no /dev/port, no heartbeat: %d\n", errno);
    struct timespec next;
    clock_gettime(CLOCK_MONOTONIC, &next);
    while (ports >= 0) {
        if (pwrite(ports, ".", 1, HEARTBEAT_PORT) != 1) say("observer: heartbeat: %d\n", errno);
        next.tv_nsec += 5000000;
        if (next.tv_nsec >= 1000000000) {
            next.tv_nsec -= 1000000000;
            next.tv_sec++;
        }
        // Late beats are not made up for.
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_sec > next.tv_sec || (now.tv_sec == next.tv_sec && now.tv_nsec > next.tv_nsec))
            next = now;
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
    }
    return NULL;
}

static void *hear(void *unused) {
    (void)unused;
    char line[128];
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\r\n")] = 0;
        say("observer: heard %s\n", line);
    }
    return NULL;
}

enum { RECORD = 4096 };
static const uint64_t record_place = 1ull << 48;  // no page's
static _Atomic uint64_t durable_records, records_read;

// A record is a page of a place of its own, whose generation is the record's number.
static void *write_records(void *unused) {
    (void)unused;
    uint64_t *record = aligned_alloc(RECORD, RECORD);
    int disk = open("/dev/vda", O_RDWR | O_DIRECT);
    off_t size = disk < 0 ? 0 : lseek(disk, 0, SEEK_END);
    if (!record || size < RECORD) {
        say("observer: no disk: %d\n", errno);
        end(RB_POWER_OFF);
    }
    uint64_t slots = (uint64_t)size / RECORD, random = 88172645463325252u;
    for (uint64_t number = 0;; number++) {
        fill(record, record_place, number);
        off_t place = (off_t)(number % slots * RECORD);
        if (pwrite(disk, record, RECORD, place) != RECORD || fdatasync(disk) != 0) {
            say("observer: CORRUPTION: record %llu: %d\n", (unsigned long long)number, errno);
            end(RB_POWER_OFF);
        }
        durable_records = number + 1;
        // xorshift64 chooses among those that have not been overwritten.
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        uint64_t kept = number + 1 < slots ? number + 1 : slots;
        uint64_t earlier = number - random % kept;
        if (pread(disk, record, RECORD, (off_t)(earlier % slots * RECORD)) != RECORD) {
            say("observer: CORRUPTION: record %llu: %d\n", (unsigned long long)earlier, errno);
            end(RB_POWER_OFF);
        }
        verify(record, record_place, earlier);
    }
    return NULL;
}

static void *read_records(void *unused) {
    (void)unused;
    uint64_t *record = aligned_alloc(RECORD, RECORD);
    int disk = open("/dev/vdb", O_RDONLY | O_DIRECT), writable = open("/dev/vdb", O_RDWR);
    off_t size = disk < 0 ? 0 : lseek(disk, 0, SEEK_END);
    if (!record || size < RECORD) {
        say("observer: no second disk: %d\n", errno);
        end(RB_POWER_OFF);
    }
    memset(record, 0, RECORD);
    // Linux may let it be opened so, but no more.
    if (writable >= 0 && pwrite(writable, record, RECORD, 0) >= 0 && fdatasync(writable) == 0) {
        say("observer: CORRUPTION: the second disk was written\n");
        end(RB_POWER_OFF);
    }
    for (uint64_t number = 0;; number++) {
        uint64_t slot = number % ((uint64_t)size / RECORD);
        if (pread(disk, record, RECORD, (off_t)(slot * RECORD)) != RECORD) {
            say("observer: CORRUPTION: record %llu to read: %d\n", (unsigned long long)slot, errno);
            end(RB_POWER_OFF);
        }
        verify(record, record_place, slot);
        records_read = number + 1;
        usleep(10000);
    }
    return NULL;
}

static void *answer(void *argument) {
    int endpoint = socket(AF_INET, SOCK_DGRAM, 0);
    // After a standstill all that has waited comes at once, and is not to be lost here.
    int room = 8 << 20;
    setsockopt(endpoint, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
    struct ifreq card = {.ifr_name = "eth0"};
    struct sockaddr_in address = {.sin_family = AF_INET};
    if (inet_pton(AF_INET, argument, &address.sin_addr) != 1) say("observer: not an address\n");
    memcpy(&card.ifr_addr, &address, sizeof address);
    int failed = ioctl(endpoint, SIOCSIFADDR, &card);
    card.ifr_flags = IFF_UP | IFF_RUNNING;
    failed |= ioctl(endpoint, SIOCSIFFLAGS, &card);
    address.sin_port = htons(7);
    failed |= bind(endpoint, (struct sockaddr *)&address, sizeof address);
    if (failed) say("observer: no network: %d\n", errno);
    else say("observer: answering\n");
    for (;;) {
        char bytes[2048];
        struct sockaddr_in peer;
        socklen_t length = sizeof peer;
        ssize_t count = recvfrom(endpoint, bytes, sizeof bytes, 0, (void *)&peer, &length);
        if (count >= 0) sendto(endpoint, bytes, (size_t)count, 0, (void *)&peer, length);
    }
    return NULL;
}

static void *repeat(void *unused) {
    (void)unused;
    int console = open("/dev/hvc0", O_RDWR | O_NOCTTY);
    FILE *in = console < 0 ? NULL : fdopen(console, "r");
    if (!in) {
        say("observer: no virtio console: %d\n", errno);
        return NULL;
    }
    char line[128];
    dprintf(console, "observer: listening\n");
    while (fgets(line, sizeof line, in)) {
        line[strcspn(line, "\r\n")] = 0;
        dprintf(console, "observer: heard %s\n", line);
    }
    return NULL;
}

// A number of the kernel's command line, or the default.
static long option(const char *line, const char *name, long otherwise) {
    const char *found = strstr(line, name);
    return found ? strtol(found + strlen(name), NULL, 10) : otherwise;
}

static double tsc_per_microsecond(void) {
    uint64_t start = nanoseconds(CLOCK_MONOTONIC), ticks = __rdtsc();
    usleep(100000);
    return (double)(__rdtsc() - ticks) * 1000 / (double)(nanoseconds(CLOCK_MONOTONIC) - start);
}

static uint64_t largest(size_t offset) {
    uint64_t result = 0;
    for (int index = 0; index < worker_count; index++) {
        _Atomic uint64_t *value = (void *)((char *)&workers[index].gaps + offset);
        uint64_t gap = atomic_load_explicit(value, memory_order_relaxed);
        if (gap > result) result = gap;
    }
    return result;
}

int main(void) {
    mkdir("/proc", 0555);
    mount("proc", "/proc", "proc", 0, NULL);
    mount("dev", "/dev", "devtmpfs", 0, NULL);
    char line[4096] = "";
    int fd = open("/proc/cmdline", O_RDONLY);
    if (fd < 0 || read(fd, line, sizeof line - 1) < 0) say("observer: no command line\n");
    worker_count = (int)sysconf(_SC_NPROCESSORS_ONLN);
    if (worker_count > MOST_WORKERS) worker_count = MOST_WORKERS;
    size_t pages = (size_t)option(line, "memory=", 64) * 1024 * 1024 / PAGE;
    uint64_t *memory = mmap(NULL, (pages + 1) * PAGE, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        say("observer: too little memory\n");
        end(RB_POWER_OFF);
    }
    double rate = tsc_per_microsecond();
    say("observer: %d processors, %zu pages, TSC %.0f MHz\n", worker_count, pages, rate);
    static _Atomic uint64_t nothing_built;
    _Atomic uint64_t *built = &nothing_built;
    if (strstr(line, "load=build")) {
        void *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (shared != MAP_FAILED) built = shared;
        // Before there are threads, which a fork would leave behind.
        for (int index = 0; index < worker_count; index++)
            if (fork() == 0) build(index, built);
    }
    pthread_t beating, hearing;
    pthread_create(&beating, NULL, beat, NULL);
    pthread_create(&hearing, NULL, hear, NULL);
    pthread_t writing, reading, answering, repeating;
    int has_disk = option(line, "disk=", 0) != 0;
    if (has_disk) pthread_create(&writing, NULL, write_records, NULL);
    int has_library = option(line, "library=", 0) != 0;
    if (has_library) pthread_create(&reading, NULL, read_records, NULL);
    static char address[16];
    const char *wish = strstr(line, "answer=");
    if (wish && sscanf(wish, "answer=%15[0-9.]", address) == 1)
        pthread_create(&answering, NULL, answer, address);
    if (option(line, "hvc=", 0) != 0) pthread_create(&repeating, NULL, repeat, NULL);
    for (int index = 0; index < worker_count && pages > 0; index++) {
        struct worker *worker = &workers[index];
        worker->processor = index;
        worker->pages = pages / (size_t)worker_count;
        worker->memory = memory + (size_t)index * worker->pages * WORDS;
        pthread_create(&worker->thread, NULL, work, worker);
    }
    long limit = option(line, "for=", 0);
    uint64_t start = nanoseconds(CLOCK_MONOTONIC);
    for (uint64_t second = 1;; second++) {
        struct timespec next = {.tv_sec = (time_t)((start + second * 1000000000u) / 1000000000u),
                                .tv_nsec = (long)(start % 1000000000u)};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
        uint64_t verified = *built;
        for (int index = 0; index < worker_count; index++) verified += workers[index].verified;
        uint64_t wall = nanoseconds(CLOCK_REALTIME) / 1000;
        say("observer: %llu s, %llu pages verified, gap tsc %.0f us monotonic %llu us "
            "realtime %llu us, wall %llu.%06llu\n",
            (unsigned long long)second, (unsigned long long)verified,
            (double)largest(offsetof(struct gaps, tsc)) / rate,
            (unsigned long long)(largest(offsetof(struct gaps, monotonic)) / 1000),
            (unsigned long long)(largest(offsetof(struct gaps, realtime)) / 1000),
            (unsigned long long)(wall / 1000000), (unsigned long long)(wall % 1000000));
        if (has_disk)
            say("observer: %llu records durable\n", (unsigned long long)durable_records);
        if (has_library)
            say("observer: %llu records read\n", (unsigned long long)records_read);
        if (limit > 0 && second >= (uint64_t)limit)
            end(strstr(line, "end=reboot") ? RB_AUTOBOOT : RB_POWER_OFF);
    }
}
