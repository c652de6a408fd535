/* The seam to the operating system for POSIX: Linux, macOS, the BSDs. Linux's /proc gives the memory figures.
 * Only this file asks for more than ISO C. */
#ifndef _WIN32

#if defined(__linux__)
#define _GNU_SOURCE /* sched_getaffinity, madvise */
#elif defined(__APPLE__)
#define _DARWIN_C_SOURCE
#else
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE
#define __BSD_VISIBLE 1
#endif
#define _FILE_OFFSET_BITS 64

#include "runtime/base/hash.h"
#include "runtime/base/mem.h"
#include "runtime/base/os.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#if defined(__APPLE__)
#include <mach-o/dyld.h>
#include <sys/sysctl.h>
#endif

enum { MAX_PATH_BYTES = 4096, MAX_IO_BYTES = 1 << 30 /* one read or write call; Linux stops at 2 GiB less a page */ };

/* ---- files ---- */

struct map_handle {
    int fd;
    char *path;
};

static enum sto_status fail_errno(struct sto_error *err, const char *what, const char *path, int code)
{
    return sto_fail(err, STO_ERR_FAILED, "%s: %s: %s", path, what, strerror(code));
}

/* Opens a regular file for reading. O_NONBLOCK: opening a pipe must not wait for a writer before it is refused. */
static enum sto_status open_regular(const char *path, int *fd, uint64_t *size, struct sto_error *err)
{
    struct stat st;
    do
        *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    while (*fd < 0 && errno == EINTR);
    if (*fd < 0)
        return fail_errno(err, "cannot open", path, errno);
    if (fstat(*fd, &st) != 0)
        return fail_errno(err, "cannot open", path, errno);
    if (S_ISDIR(st.st_mode))
        return sto_fail(err, STO_ERR_FAILED, "%s: is a directory, not a file", path);
    if (!S_ISREG(st.st_mode))
        return sto_fail(err, STO_ERR_FAILED, "%s: is not a regular file", path);
    *size = (uint64_t)st.st_size;
    return STO_OK;
}

enum sto_status sto_map_open(const char *path, struct sto_map *out, struct sto_error *err)
{
    int fd = -1;
    uint64_t size = 0;
    struct map_handle *handle = NULL;
    *out = (struct sto_map){0};
    enum sto_status status = open_regular(path, &fd, &size, err);
    if (status != STO_OK)
        goto fail;
    handle = sto_calloc(1, sizeof *handle);
    if (handle == NULL || (handle->path = sto_strdup(path)) == NULL) {
        status = sto_fail(err, STO_ERR_FAILED, "%s: out of memory", path);
        goto fail;
    }
    if (size > SIZE_MAX) {
        status = sto_fail(err, STO_ERR_FAILED, "%s: %llu bytes are more than the address space", path,
                          (unsigned long long)size);
        goto fail;
    }
    if (size > 0) {
        void *data = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, fd, 0);
        if (data == MAP_FAILED) {
            status = fail_errno(err, "cannot map", path, errno);
            goto fail;
        }
        out->data = data;
    }
    out->size = size;
    handle->fd = fd;
    out->handle = handle;
    return STO_OK;
fail:
    if (fd >= 0)
        (void)close(fd);
    if (handle != NULL)
        sto_free(handle->path);
    sto_free(handle);
    return status;
}

void sto_map_close(struct sto_map *map)
{
    struct map_handle *handle = map == NULL ? NULL : map->handle;
    if (handle == NULL)
        return;
    if (map->data != NULL)
        (void)munmap((void *)(uintptr_t)map->data, (size_t)map->size);
    (void)close(handle->fd);
    sto_free(handle->path);
    sto_free(handle);
    *map = (struct sto_map){0};
}

enum sto_status sto_map_read(const struct sto_map *map, uint64_t offset, void *dst, size_t size, struct sto_error *err)
{
    const struct map_handle *handle = map->handle;
    const char *path = handle == NULL ? "memory" : handle->path;
    unsigned char *to = dst;
    if (offset > map->size || size > map->size - offset)
        return sto_fail(err, STO_ERR_FAILED, "%s: reading %zu bytes at %llu of a file of %llu", path, size,
                        (unsigned long long)offset, (unsigned long long)map->size);
    if (handle == NULL && size > 0) {
        memcpy(dst, map->data + offset, size);
        return STO_OK;
    }
    while (size > 0) {
        const ssize_t n = pread(handle->fd, to, size < MAX_IO_BYTES ? size : MAX_IO_BYTES, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_errno(err, "cannot read", path, errno);
        if (n == 0)
            return sto_fail(err, STO_ERR_FAILED,
                            "%s: ends at byte %llu: it has shrunk since it was opened (%llu bytes)", path,
                            (unsigned long long)offset, (unsigned long long)map->size);
        to += n;
        offset += (uint64_t)n;
        size -= (size_t)n;
    }
    return STO_OK;
}

/* madvise on the pages that a range touches (outer) or fills (inner). */
static void advise(const struct sto_map *map, uint64_t offset, uint64_t size, bool outer, int advice)
{
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    if (map->data == NULL || offset >= map->size)
        return;
    const uint64_t end = size > map->size - offset ? map->size : offset + size;
    const uint64_t first = outer ? offset / page * page : (offset + page - 1) / page * page;
    const uint64_t last = outer || end == map->size ? end : end / page * page;
    if (first < last)
        (void)madvise((void *)(uintptr_t)(map->data + first), (size_t)(last - first), advice);
}

void sto_map_will_need(const struct sto_map *map, uint64_t offset, uint64_t size)
{
    advise(map, offset, size, true, MADV_WILLNEED);
}

void sto_map_dont_need(const struct sto_map *map, uint64_t offset, uint64_t size)
{
    advise(map, offset, size, false, MADV_DONTNEED);
}

/* Whole pages alone are dropped: those at both ends hold bytes of neighbours too, which drop them later. */
void sto_map_forget(const struct sto_map *map, uint64_t offset, uint64_t size)
{
    const struct map_handle *handle = map->handle;
#ifdef POSIX_FADV_DONTNEED
    if (handle != NULL)
        (void)posix_fadvise(handle->fd, (off_t)offset, (off_t)size, POSIX_FADV_DONTNEED);
#else
    (void)handle;
    (void)offset;
    (void)size;
#endif
}

/* Reads to the end by growing, because a pipe or a file in /proc has no size to ask for. */
static enum sto_status read_all(int fd, const char *path, uint64_t max_bytes, char **data, size_t *size,
                                struct sto_error *err)
{
    size_t room = 0, used = 0;
    for (;;) {
        if (room - used < 2) {
            room = room == 0 ? 64 * 1024 : room * 2;
            char *grown = sto_realloc(*data, room, 1);
            if (grown == NULL)
                return sto_fail(err, STO_ERR_FAILED, "%s: out of memory after %zu bytes", path, used);
            *data = grown;
        }
        const size_t want = room - used - 1;
        const ssize_t n = read(fd, *data + used, want < MAX_IO_BYTES ? want : MAX_IO_BYTES);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EISDIR)
            return sto_fail(err, STO_ERR_FAILED, "%s: is a directory, not a file", path);
        if (n < 0)
            return fail_errno(err, "cannot read", path, errno);
        if (n == 0)
            break;
        used += (size_t)n;
        if (used > max_bytes)
            return sto_fail(err, STO_ERR_FAILED, "%s: is larger than %llu bytes", path, (unsigned long long)max_bytes);
    }
    (*data)[used] = '\0';
    *size = used;
    return STO_OK;
}

enum sto_status sto_file_read(const char *path, uint64_t max_bytes, char **data, size_t *size, struct sto_error *err)
{
    *data = NULL;
    *size = 0;
    int fd;
    do
        fd = open(path, O_RDONLY | O_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return fail_errno(err, "cannot open", path, errno);
    const enum sto_status status = read_all(fd, path, max_bytes, data, size, err);
    (void)close(fd);
    if (status != STO_OK) {
        sto_free(*data);
        *data = NULL;
    }
    return status;
}

static int write_all(int fd, const void *data, size_t size)
{
    const unsigned char *from = data;
    while (size > 0) {
        const ssize_t n = write(fd, from, size < MAX_IO_BYTES ? size : MAX_IO_BYTES);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        from += n;
        size -= (size_t)n;
    }
    return 0;
}

enum sto_status sto_file_write_atomic(const char *path, const void *data, size_t size, struct sto_error *err)
{
    static atomic_uint serial;
    char temp[MAX_PATH_BYTES];
    const int len = snprintf(temp, sizeof temp, "%s.%ld.%u.tmp", path, (long)getpid(), atomic_fetch_add(&serial, 1u));
    if (len < 0 || (size_t)len >= sizeof temp)
        return sto_fail(err, STO_ERR_FAILED, "%s: the path is too long", path);
    const int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return fail_errno(err, "cannot create", temp, errno);
    int code = write_all(fd, data, size);
    if (code == 0 && fsync(fd) != 0 && errno != EINVAL && errno != ENOTSUP)
        code = errno;
    if (close(fd) != 0 && code == 0)
        code = errno;
    if (code == 0 && rename(temp, path) != 0)
        code = errno;
    if (code == 0)
        return STO_OK;
    (void)unlink(temp);
    return fail_errno(err, "cannot write", path, code);
}

FILE *sto_file_create(const char *path, struct sto_error *err)
{
    FILE *f = fopen(path, "wbe");
    if (f == NULL)
        (void)sto_fail(err, STO_ERR_FAILED, "%s: %s", path, strerror(errno));
    return f;
}

FILE *sto_file_append(const char *path, uint64_t keep_bytes, struct sto_error *err)
{
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    FILE *f = NULL;
    if (fd >= 0 && ftruncate(fd, (off_t)keep_bytes) == 0 && (f = fdopen(fd, "r+b")) != NULL &&
        fseeko(f, 0, SEEK_END) == 0)
        return f;
    (void)fail_errno(err, "cannot write", path, errno);
    if (f != NULL)
        (void)fclose(f);
    else if (fd >= 0)
        (void)close(fd);
    return NULL;
}

bool sto_file_flush(FILE *file, bool to_disk)
{
    if (fflush(file) != 0)
        return false;
    return !to_disk || fsync(fileno(file)) == 0 || errno == EINVAL || errno == ENOTSUP || errno == EROFS;
}

bool sto_file_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

bool sto_file_stamp(const char *path, uint64_t *size, uint64_t *changed_ns)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return false;
#if defined(__APPLE__)
    const struct timespec t = st.st_mtimespec;
#else
    const struct timespec t = st.st_mtim;
#endif
    *size = (uint64_t)st.st_size;
    *changed_ns = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
    return true;
}

static bool is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

enum sto_status sto_make_dirs(const char *path, struct sto_error *err)
{
    char part[MAX_PATH_BYTES];
    const size_t len = strlen(path);
    if (len == 0 || len >= sizeof part)
        return sto_fail(err, STO_ERR_FAILED, "%s: the path is empty or too long", path);
    memcpy(part, path, len + 1);
    for (size_t i = 1; i <= len; i++) {
        if (part[i] != '/' && part[i] != '\0')
            continue;
        part[i] = '\0';
        if (mkdir(part, 0700) != 0) {
            const int code = errno;
            if (!is_dir(part))
                return fail_errno(err, "cannot create the folder", part, code);
        }
        part[i] = path[i];
    }
    return STO_OK;
}

/* A folder of the user's: what the variable says, or a place below home. */
static void user_dir(const char *variable, const char *below_home, char *path, size_t size)
{
    const char *xdg = getenv(variable);
    const char *home = getenv("HOME");
    int n = -1;
    if (xdg != NULL && xdg[0] == '/')
        n = snprintf(path, size, "%s/strato", xdg);
    else if (home != NULL && home[0] == '/')
        n = snprintf(path, size, "%s/%s/strato", home, below_home);
    if ((n < 0 || (size_t)n >= size) && size > 0)
        path[0] = '\0';
}

void sto_cache_dir(char *path, size_t size)
{
    user_dir("XDG_CACHE_HOME", ".cache", path, size);
}

void sto_state_dir(char *path, size_t size)
{
    user_dir("XDG_STATE_HOME", ".local/state", path, size);
}

void sto_program_dir(char *path, size_t size)
{
    char exe[MAX_PATH_BYTES];
    size_t len = 0;
#if defined(__APPLE__)
    uint32_t room = sizeof exe;
    if (_NSGetExecutablePath(exe, &room) == 0)
        len = strlen(exe);
#else
    const ssize_t n = readlink("/proc/self/exe", exe, sizeof exe);
    len = n > 0 && (size_t)n < sizeof exe ? (size_t)n : 0;
#endif
    while (len > 0 && exe[len - 1] != '/')
        len--;
    if (size == 0)
        return;
    path[0] = '\0';
    if (len > 1 && len <= size) {
        memcpy(path, exe, len - 1);
        path[len - 1] = '\0';
    }
}

/* ---- threads ---- */

struct sto_thread {
    pthread_t id;
    void (*run)(void *arg);
    void *arg;
};
struct sto_mutex {
    pthread_mutex_t m;
};
struct sto_cond {
    pthread_cond_t c;
};

static void *thread_main(void *arg)
{
    struct sto_thread *thread = arg;
    thread->run(thread->arg);
    return NULL;
}

/* Our threads take no signals but those that their own faults raise: a handler of the host program, such as the one
 * for Ctrl-C, runs on a thread that the host knows. */
static atomic_bool refuse_threads;

void sto_thread_refuse(bool refuse)
{
    atomic_store(&refuse_threads, refuse);
}

struct sto_thread *sto_thread_start(void (*run)(void *arg), void *arg)
{
    struct sto_thread *thread = atomic_load(&refuse_threads) ? NULL : sto_calloc(1, sizeof *thread);
    if (thread == NULL)
        return NULL;
    thread->run = run;
    thread->arg = arg;
    sigset_t ours, before;
    (void)sigfillset(&ours);
    (void)sigdelset(&ours, SIGSEGV);
    (void)sigdelset(&ours, SIGBUS);
    (void)sigdelset(&ours, SIGFPE);
    (void)sigdelset(&ours, SIGILL);
    (void)sigdelset(&ours, SIGABRT);
    (void)pthread_sigmask(SIG_BLOCK, &ours, &before);
    const int code = pthread_create(&thread->id, NULL, thread_main, thread);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code != 0) {
        sto_free(thread);
        return NULL;
    }
    return thread;
}

void sto_thread_join(struct sto_thread *thread)
{
    if (thread == NULL)
        return;
    (void)pthread_join(thread->id, NULL);
    sto_free(thread);
}

struct sto_mutex *sto_mutex_create(void)
{
    struct sto_mutex *mutex = sto_calloc(1, sizeof *mutex);
    if (mutex != NULL && pthread_mutex_init(&mutex->m, NULL) != 0) {
        sto_free(mutex);
        return NULL;
    }
    return mutex;
}

void sto_mutex_destroy(struct sto_mutex *mutex)
{
    if (mutex == NULL)
        return;
    (void)pthread_mutex_destroy(&mutex->m);
    sto_free(mutex);
}

void sto_mutex_lock(struct sto_mutex *mutex)
{
    (void)pthread_mutex_lock(&mutex->m);
}

void sto_mutex_unlock(struct sto_mutex *mutex)
{
    (void)pthread_mutex_unlock(&mutex->m);
}

struct sto_cond *sto_cond_create(void)
{
    struct sto_cond *cond = sto_calloc(1, sizeof *cond);
    if (cond != NULL && pthread_cond_init(&cond->c, NULL) != 0) {
        sto_free(cond);
        return NULL;
    }
    return cond;
}

void sto_cond_destroy(struct sto_cond *cond)
{
    if (cond == NULL)
        return;
    (void)pthread_cond_destroy(&cond->c);
    sto_free(cond);
}

void sto_cond_wait(struct sto_cond *cond, struct sto_mutex *mutex)
{
    (void)pthread_cond_wait(&cond->c, &mutex->m);
}

void sto_cond_broadcast(struct sto_cond *cond)
{
    (void)pthread_cond_broadcast(&cond->c);
}

unsigned sto_cpu_count(void)
{
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return (unsigned)CPU_COUNT(&set);
#endif
    const long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (unsigned)n : 1;
}

#if defined(__linux__)
/* The first processor of the list of those that share a core with cpu; cpu itself where there is no such list. */
static unsigned first_of_core(unsigned cpu)
{
    char path[96];
    unsigned first = cpu;
    (void)snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%u/topology/thread_siblings_list", cpu);
    FILE *f = fopen(path, "r");
    if (f == NULL)
        return cpu;
    if (fscanf(f, "%u", &first) != 1)
        first = cpu;
    (void)fclose(f);
    return first;
}
#endif

unsigned sto_core_count(void)
{
#if defined(__linux__)
    cpu_set_t set, cores;
    CPU_ZERO(&cores);
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
            const unsigned first = CPU_ISSET(cpu, &set) ? first_of_core(cpu) : CPU_SETSIZE;
            if (first < CPU_SETSIZE)
                CPU_SET(first, &cores);
        }
        if (CPU_COUNT(&cores) > 0)
            return (unsigned)CPU_COUNT(&cores);
    }
#elif defined(__APPLE__)
    int cores = 0;
    size_t size = sizeof cores;
    if (sysctlbyname("hw.physicalcpu", &cores, &size, NULL, 0) == 0 && cores > 0)
        return (unsigned)cores;
#endif
    return sto_cpu_count();
}

void sto_thread_yield(void)
{
    (void)sched_yield();
}

void sto_sleep_ms(unsigned ms)
{
    struct timespec left = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000L};
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        continue;
}

/* ---- libraries ---- */

struct sto_library {
    void *handle;
};

struct sto_library *sto_library_open(const char *name)
{
    void *handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    struct sto_library *library = handle != NULL ? sto_calloc(1, sizeof *library) : NULL;
    if (library != NULL)
        library->handle = handle;
    else if (handle != NULL)
        (void)dlclose(handle);
    return library;
}

sto_function *sto_library_find(const struct sto_library *library, const char *symbol)
{
    /* POSIX promises that what dlsym gives can be a function's address; ISO C has no conversion for it. */
    void *found = dlsym(library->handle, symbol);
    sto_function *function = NULL;
    _Static_assert(sizeof function == sizeof found, "addresses of functions and objects have one size");
    memcpy(&function, &found, sizeof function);
    return function;
}

void sto_library_close(struct sto_library *library)
{
    if (library == NULL)
        return;
    (void)dlclose(library->handle);
    sto_free(library);
}

/* ---- clock and memory ---- */

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec t = {0};
    (void)clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t sto_now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

/* The finaliser of splitmix64 (Steele, Lea, Flood 2014) spreads the clock's low bits over the word. */
int64_t sto_local_seconds(void)
{
    const time_t now = time(NULL);
    struct tm local;
    if (localtime_r(&now, &local) == NULL)
        return (int64_t)now;
    const int64_t y = local.tm_year + 1899; /* whole years before this one */
    const int64_t days = y * 365 + y / 4 - y / 100 + y / 400 - 719162 + local.tm_yday;
    return days * 86400 + local.tm_hour * 3600 + local.tm_min * 60 + local.tm_sec;
}

uint64_t sto_wall_seed(void)
{
    return sto_hash_mix(clock_ns(CLOCK_REALTIME) ^ (uint64_t)getpid() << 40);
}

uint64_t sto_ram_bytes(void)
{
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0;
}

/* The number of kB in the line of a /proc file that begins with `field`, in bytes; 0 when there is none. */
static uint64_t proc_kb(const char *path, const char *field)
{
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return 0;
    char line[256];
    uint64_t bytes = 0;
    const size_t len = strlen(field);
    while (bytes == 0 && fgets(line, sizeof line, f) != NULL) {
        if (strncmp(line, field, len) == 0)
            bytes = strtoull(line + len, NULL, 10) * 1024;
    }
    (void)fclose(f);
    return bytes;
}

/* A number in a file of its own; UINT64_MAX when there is none, as where it says "max". */
static uint64_t number_in(const char *path)
{
    FILE *f = fopen(path, "re");
    unsigned long long value = 0;
    const int n = f != NULL ? fscanf(f, "%llu", &value) : 0;
    if (f != NULL)
        (void)fclose(f);
    return n == 1 ? value : UINT64_MAX;
}

/* A container sees its own control group at the root: version 2, then 1. Cached files count as used, and can go. */
static uint64_t group_available(void)
{
    static const struct {
        const char *most, *used, *stat, *cached;
    } versions[] = {
        {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory.stat", "inactive_file "},
        {"/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes",
         "/sys/fs/cgroup/memory/memory.stat", "total_inactive_file "},
    };
    for (int i = 0; i < 2; i++) {
        const uint64_t most = number_in(versions[i].most), used = number_in(versions[i].used);
        if (most == UINT64_MAX || used == UINT64_MAX)
            continue;
        const uint64_t cached = proc_kb(versions[i].stat, versions[i].cached) / 1024; /* these are bytes */
        const uint64_t kept = used > cached ? used - cached : 0;
        return most > kept ? most - kept : 0;
    }
    return UINT64_MAX;
}

uint64_t sto_ram_available_bytes(void)
{
    const uint64_t machine = proc_kb("/proc/meminfo", "MemAvailable:"), group = group_available();
    const uint64_t all = machine > 0 ? machine : sto_ram_bytes();
    return all < group ? all : group;
}

/* VmHWM first: ru_maxrss survives exec, so it may be the peak of the program that started us. */
void sto_memory_want_large_pages(void *data, uint64_t size)
{
#ifdef MADV_HUGEPAGE
    const uintptr_t page = 2u << 20;
    const uintptr_t first = ((uintptr_t)data + page - 1) / page * page, last = ((uintptr_t)data + size) / page * page;
    if (first < last)
        (void)madvise((void *)first, last - first, MADV_HUGEPAGE);
#else
    (void)data;
    (void)size;
#endif
}

uint64_t sto_process_peak_rss(void)
{
    const uint64_t peak = proc_kb("/proc/self/status", "VmHWM:");
    struct rusage usage;
    if (peak > 0 || getrusage(RUSAGE_SELF, &usage) != 0 || usage.ru_maxrss < 0)
        return peak;
#if defined(__APPLE__)
    return (uint64_t)usage.ru_maxrss; /* bytes there, kB elsewhere */
#else
    return (uint64_t)usage.ru_maxrss * 1024;
#endif
}

uint64_t sto_process_pss(void)
{
    const uint64_t pss = proc_kb("/proc/self/smaps_rollup", "Pss:");
    return pss > 0 ? pss : proc_kb("/proc/self/status", "VmRSS:");
}

#else
typedef int sto_os_posix_is_empty; /* ISO C wants a declaration in every file */
#endif
