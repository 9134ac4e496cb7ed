/* What can be wrong with a machine, for one process: its wall clock is off, its disk is full.
 *
 *     cc -shared -fPIC -O1 -o faults.so faults.c
 *     LD_PRELOAD=faults.so SCRIM_TEST_MACHINE=FILE program
 *
 * FILE holds two numbers of 8 bytes each, which the test changes while the program runs: by how many
 * seconds the wall clock is off, and whether the disk is full (1). Clocks that cannot be set, such as
 * CLOCK_MONOTONIC, go on as they are. On a full disk nothing is written to a database's files, as on
 * a file system that copies on write; reading, logs and sockets work.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const int64_t nothing[2];
static const volatile int64_t *state = nothing;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("SCRIM_TEST_MACHINE");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *mapped = mmap(NULL, sizeof nothing, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (mapped != MAP_FAILED)
        state = mapped;
}

/* ---- the wall clock ---- */

int clock_gettime(clockid_t clock, struct timespec *time) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real)
        real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int done = real(clock, time);
    if (done == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        time->tv_sec += state[0];
    return done;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
    (void)zone;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    time->tv_sec = now.tv_sec;
    time->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *kept) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (kept)
        *kept = now.tv_sec;
    return now.tv_sec;
}

/* ---- the disk ---- */

/* Whether the file is one of a database: NAME.db, NAME.db-wal, NAME.db-shm, NAME.db-journal. */
static int full(int file) {
    if (state[1] == 0)
        return 0;
    char link[32], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    const char *name = strrchr(path, '/');
    return name && strstr(name, ".db");
}

#define REFUSE(file)        \
    if (full(file)) {       \
        errno = ENOSPC;     \
        return -1;          \
    }

ssize_t write(int file, const void *bytes, size_t count) {
    REFUSE(file);
    return syscall(SYS_write, file, bytes, count);
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t at) {
    REFUSE(file);
    return syscall(SYS_pwrite64, file, bytes, count, at);
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off_t at) {
    REFUSE(file);
    return syscall(SYS_pwrite64, file, bytes, count, at);
}
