/* The seam to the operating system for Windows 10 and later. Paths come in as UTF-8 and go on as UTF-16. */
#ifdef _WIN32

#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#undef _WIN32_WINNT
#define _WIN32_WINNT 0x0A00
#define PSAPI_VERSION 2 /* GetProcessMemoryInfo from kernel32 */

#include "runtime/base/hash.h"
#include "runtime/base/mem.h"
#include "runtime/base/os.h"

#include <windows.h>

#include <errno.h>
#include <io.h>
#include <psapi.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { MAX_PATH_BYTES = 4096, MAX_IO_BYTES = 1 << 30 };

/* ---- files ---- */

struct map_handle {
    HANDLE file, mapping;
    char *path;
};

static enum sto_status fail_code(struct sto_error *err, const char *what, const char *path, DWORD code)
{
    char text[256] = "";
    DWORD n = FormatMessageA(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS, NULL, code,
                             MAKELANGID(LANG_ENGLISH, SUBLANG_DEFAULT), text, sizeof text, NULL);
    while (n > 0 && (text[n - 1] == '\r' || text[n - 1] == '\n' || text[n - 1] == '.'))
        text[--n] = '\0';
    if (n == 0)
        (void)snprintf(text, sizeof text, "error %lu", (unsigned long)code);
    return sto_fail(err, STO_ERR_FAILED, "%s: %s: %s", path, what, text);
}

/* UTF-16 of a UTF-8 text, to be freed; NULL when it is not UTF-8 or there is no memory. */
static wchar_t *widen(const char *text)
{
    const int n = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, NULL, 0);
    wchar_t *wide = n > 0 ? sto_calloc((size_t)n, sizeof *wide) : NULL;
    if (wide != NULL && MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, wide, n) != n) {
        sto_free(wide);
        return NULL;
    }
    return wide;
}

/* UTF-8 of a UTF-16 text into path; "" when it does not fit. */
static void narrow(const wchar_t *wide, char *path, size_t size)
{
    const int room = size > INT_MAX ? INT_MAX : (int)size;
    if (size > 0 && WideCharToMultiByte(CP_UTF8, 0, wide, -1, path, room, NULL, NULL) <= 0)
        path[0] = '\0';
}

static enum sto_status open_file(const char *path, HANDLE *file, struct sto_error *err)
{
    *file = INVALID_HANDLE_VALUE;
    wchar_t *wide = widen(path);
    if (wide == NULL)
        return sto_fail(err, STO_ERR_FAILED, "%s: the path is not valid UTF-8, or out of memory", path);
    const DWORD attributes = GetFileAttributesW(wide);
    const bool dir = attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_DIRECTORY) != 0;
    if (!dir)
        *file = CreateFileW(wide, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL,
                            OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, NULL);
    const DWORD code = GetLastError();
    sto_free(wide);
    if (dir)
        return sto_fail(err, STO_ERR_FAILED, "%s: is a directory, not a file", path);
    return *file == INVALID_HANDLE_VALUE ? fail_code(err, "cannot open", path, code) : STO_OK;
}

static void handle_free(struct map_handle *handle)
{
    if (handle == NULL)
        return;
    if (handle->mapping != NULL)
        (void)CloseHandle(handle->mapping);
    if (handle->file != INVALID_HANDLE_VALUE)
        (void)CloseHandle(handle->file);
    sto_free(handle->path);
    sto_free(handle);
}

enum sto_status sto_map_open(const char *path, struct sto_map *out, struct sto_error *err)
{
    *out = (struct sto_map){0};
    LARGE_INTEGER size = {0};
    HANDLE file;
    enum sto_status status = open_file(path, &file, err);
    if (status != STO_OK)
        return status;
    struct map_handle *handle = sto_calloc(1, sizeof *handle);
    if (handle == NULL) {
        (void)CloseHandle(file);
        return sto_fail(err, STO_ERR_FAILED, "%s: out of memory", path);
    }
    handle->file = file;
    handle->path = sto_strdup(path);
    if (handle->path == NULL) {
        status = sto_fail(err, STO_ERR_FAILED, "%s: out of memory", path);
        goto fail;
    }
    if (GetFileType(file) != FILE_TYPE_DISK || !GetFileSizeEx(file, &size)) {
        status = sto_fail(err, STO_ERR_FAILED, "%s: is not a regular file", path);
        goto fail;
    }
    if (size.QuadPart > 0) {
        handle->mapping = CreateFileMappingW(file, NULL, PAGE_READONLY, 0, 0, NULL);
        if (handle->mapping != NULL)
            out->data = MapViewOfFile(handle->mapping, FILE_MAP_READ, 0, 0, 0);
        if (out->data == NULL) {
            status = fail_code(err, "cannot map", path, GetLastError());
            goto fail;
        }
    }
    out->size = (uint64_t)size.QuadPart;
    out->handle = handle;
    return STO_OK;
fail:
    handle_free(handle);
    return status;
}

void sto_map_close(struct sto_map *map)
{
    if (map == NULL || map->handle == NULL)
        return;
    if (map->data != NULL)
        (void)UnmapViewOfFile(map->data);
    handle_free(map->handle);
    *map = (struct sto_map){0};
}

enum sto_status sto_map_read(const struct sto_map *map, uint64_t offset, void *dst, size_t size, struct sto_error *err)
{
    const struct map_handle *handle = map->handle;
    const char *path = handle == NULL ? "memory" : handle->path;
    unsigned char *to = dst;
    if (offset > map->size || size > map->size - offset)
        return sto_fail(err, STO_ERR_FAILED, "%s: reading %llu bytes at %llu of a file of %llu", path,
                        (unsigned long long)size, (unsigned long long)offset, (unsigned long long)map->size);
    if (handle == NULL && size > 0) {
        memcpy(dst, map->data + offset, size);
        return STO_OK;
    }
    while (size > 0) {
        OVERLAPPED at = {.Offset = (DWORD)offset, .OffsetHigh = (DWORD)(offset >> 32)};
        DWORD n = 0;
        const bool ok = ReadFile(handle->file, to, size < MAX_IO_BYTES ? (DWORD)size : MAX_IO_BYTES, &n, &at);
        const DWORD code = GetLastError();
        if (!ok && code != ERROR_HANDLE_EOF)
            return fail_code(err, "cannot read", path, code);
        if (n == 0)
            return sto_fail(err, STO_ERR_FAILED,
                            "%s: ends at byte %llu: it has shrunk since it was opened (%llu bytes)", path,
                            (unsigned long long)offset, (unsigned long long)map->size);
        to += n;
        offset += n;
        size -= n;
    }
    return STO_OK;
}

void sto_map_will_need(const struct sto_map *map, uint64_t offset, uint64_t size)
{
    if (map->data == NULL || offset >= map->size)
        return;
    WIN32_MEMORY_RANGE_ENTRY range = {
        .VirtualAddress = (void *)(uintptr_t)(map->data + offset),
        .NumberOfBytes = (SIZE_T)(size > map->size - offset ? map->size - offset : size),
    };
    (void)PrefetchVirtualMemory(GetCurrentProcess(), 1, &range, 0);
}

/* Unlocking pages that were never locked takes them out of the working set (documented with VirtualUnlock). */
void sto_map_dont_need(const struct sto_map *map, uint64_t offset, uint64_t size)
{
    if (map->data == NULL || offset >= map->size)
        return;
    (void)VirtualUnlock((void *)(uintptr_t)(map->data + offset),
                        (SIZE_T)(size > map->size - offset ? map->size - offset : size));
}

/* Windows keeps what was read in its standby list, which counts as available. */
void sto_map_forget(const struct sto_map *map, uint64_t offset, uint64_t size)
{
    (void)map;
    (void)offset;
    (void)size;
}

/* Reads to the end by growing, because a pipe has no size to ask for. */
static enum sto_status read_all(HANDLE file, const char *path, uint64_t max_bytes, char **data, size_t *size,
                                struct sto_error *err)
{
    size_t room = 0, used = 0;
    for (;;) {
        if (room - used < 2) {
            room = room == 0 ? 64 * 1024 : room * 2;
            char *grown = sto_realloc(*data, room, 1);
            if (grown == NULL)
                return sto_fail(err, STO_ERR_FAILED, "%s: out of memory", path);
            *data = grown;
        }
        const size_t want = room - used - 1;
        DWORD n = 0;
        if (!ReadFile(file, *data + used, want < MAX_IO_BYTES ? (DWORD)want : MAX_IO_BYTES, &n, NULL)) {
            const DWORD code = GetLastError();
            if (code != ERROR_BROKEN_PIPE && code != ERROR_HANDLE_EOF)
                return fail_code(err, "cannot read", path, code);
            n = 0;
        }
        if (n == 0)
            break;
        used += n;
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
    HANDLE file;
    enum sto_status status = open_file(path, &file, err);
    if (status != STO_OK)
        return status;
    status = read_all(file, path, max_bytes, data, size, err);
    (void)CloseHandle(file);
    if (status != STO_OK) {
        sto_free(*data);
        *data = NULL;
    }
    return status;
}

static bool write_all(HANDLE file, const void *data, size_t size)
{
    const unsigned char *from = data;
    while (size > 0) {
        DWORD n = 0;
        if (!WriteFile(file, from, size < MAX_IO_BYTES ? (DWORD)size : MAX_IO_BYTES, &n, NULL))
            return false;
        from += n;
        size -= n;
    }
    return true;
}

enum sto_status sto_file_write_atomic(const char *path, const void *data, size_t size, struct sto_error *err)
{
    static atomic_uint serial;
    char temp[MAX_PATH_BYTES];
    const int len = snprintf(temp, sizeof temp, "%s.%lu.%u.tmp", path, (unsigned long)GetCurrentProcessId(),
                             atomic_fetch_add(&serial, 1u));
    if (len < 0 || (size_t)len >= sizeof temp)
        return sto_fail(err, STO_ERR_FAILED, "%s: the path is too long", path);
    wchar_t *from = widen(temp), *to = widen(path);
    HANDLE file = INVALID_HANDLE_VALUE;
    bool created = false, ok = false;
    SetLastError(ERROR_NOT_ENOUGH_MEMORY);
    if (from != NULL && to != NULL)
        file = CreateFileW(from, GENERIC_WRITE, 0, NULL, CREATE_NEW, FILE_ATTRIBUTE_NORMAL, NULL);
    if (file != INVALID_HANDLE_VALUE) {
        created = true;
        ok = write_all(file, data, size) && FlushFileBuffers(file);
    }
    DWORD code = GetLastError();
    if (created && !CloseHandle(file) && ok) {
        ok = false;
        code = GetLastError();
    }
    if (ok && !MoveFileExW(from, to, MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH)) {
        ok = false;
        code = GetLastError();
    }
    if (created && !ok)
        (void)DeleteFileW(from);
    sto_free(from);
    sto_free(to);
    return ok ? STO_OK : fail_code(err, "cannot write", path, code);
}

static DWORD attributes_of(const char *path)
{
    wchar_t *wide = widen(path);
    const DWORD attributes = wide == NULL ? INVALID_FILE_ATTRIBUTES : GetFileAttributesW(wide);
    sto_free(wide);
    return attributes;
}

FILE *sto_file_create(const char *path, struct sto_error *err)
{
    wchar_t *wide = widen(path);
    FILE *f = wide != NULL ? _wfopen(wide, L"wb") : NULL;
    sto_free(wide);
    if (f == NULL)
        (void)sto_fail(err, STO_ERR_FAILED, "%s: cannot be opened for writing", path);
    return f;
}

FILE *sto_file_append(const char *path, uint64_t keep_bytes, struct sto_error *err)
{
    wchar_t *wide = widen(path);
    FILE *f = wide != NULL ? _wfopen(wide, sto_file_exists(path) ? L"r+b" : L"w+b") : NULL;
    sto_free(wide);
    if (f != NULL && _chsize_s(_fileno(f), (__int64)keep_bytes) == 0 && _fseeki64(f, 0, SEEK_END) == 0)
        return f;
    (void)sto_fail(err, STO_ERR_FAILED, "%s: cannot be opened for writing", path);
    if (f != NULL)
        (void)fclose(f);
    return NULL;
}

bool sto_file_flush(FILE *file, bool to_disk)
{
    return fflush(file) == 0 && (!to_disk || _commit(_fileno(file)) == 0 || errno == EBADF);
}

bool sto_file_exists(const char *path)
{
    return attributes_of(path) != INVALID_FILE_ATTRIBUTES;
}

bool sto_file_stamp(const char *path, uint64_t *size, uint64_t *changed_ns)
{
    WIN32_FILE_ATTRIBUTE_DATA data;
    wchar_t *wide = widen(path);
    const bool there = wide != NULL && GetFileAttributesExW(wide, GetFileExInfoStandard, &data);
    sto_free(wide);
    if (!there)
        return false;
    *size = (uint64_t)data.nFileSizeHigh << 32 | data.nFileSizeLow;
    *changed_ns = ((uint64_t)data.ftLastWriteTime.dwHighDateTime << 32 | data.ftLastWriteTime.dwLowDateTime) * 100;
    return true;
}

static enum sto_status make_dir(const char *path, struct sto_error *err)
{
    wchar_t *wide = widen(path);
    const bool made = wide != NULL && CreateDirectoryW(wide, NULL);
    const DWORD code = wide == NULL ? ERROR_INVALID_NAME : GetLastError();
    sto_free(wide);
    if (made)
        return STO_OK;
    const DWORD attributes = attributes_of(path);
    const bool there = attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_DIRECTORY) != 0;
    return there ? STO_OK : fail_code(err, "cannot create the folder", path, code);
}

/* A folder of the user's profile is private to the user by inheritance. */
enum sto_status sto_make_dirs(const char *path, struct sto_error *err)
{
    char part[MAX_PATH_BYTES];
    const size_t len = strlen(path);
    if (len == 0 || len >= sizeof part)
        return sto_fail(err, STO_ERR_FAILED, "%s: the path is empty or too long", path);
    memcpy(part, path, len + 1);
    for (size_t i = 1; i <= len; i++) {
        if ((part[i] != '/' && part[i] != '\\' && part[i] != '\0') || part[i - 1] == ':')
            continue;
        part[i] = '\0';
        const enum sto_status status = make_dir(part, err);
        if (status != STO_OK)
            return status;
        part[i] = path[i];
    }
    return STO_OK;
}

void sto_cache_dir(char *path, size_t size)
{
    wchar_t local[MAX_PATH_BYTES];
    if (size == 0)
        return;
    path[0] = '\0';
    const DWORD n = GetEnvironmentVariableW(L"LOCALAPPDATA", local, MAX_PATH_BYTES);
    if (n == 0 || n >= MAX_PATH_BYTES)
        return;
    narrow(local, path, size);
    const size_t len = strlen(path);
    const char tail[] = "\\strato";
    if (len == 0 || size - len < sizeof tail)
        path[0] = '\0';
    else
        memcpy(path + len, tail, sizeof tail);
}

void sto_state_dir(char *path, size_t size)
{
    sto_cache_dir(path, size); /* Windows has one place for both */
}

void sto_program_dir(char *path, size_t size)
{
    wchar_t exe[MAX_PATH_BYTES];
    if (size == 0)
        return;
    path[0] = '\0';
    DWORD n = GetModuleFileNameW(NULL, exe, MAX_PATH_BYTES);
    if (n == 0 || n >= MAX_PATH_BYTES)
        return;
    while (n > 0 && exe[n - 1] != L'\\')
        n--;
    if (n == 0)
        return;
    exe[n - 1] = L'\0';
    narrow(exe, path, size);
}

/* ---- threads ---- */

struct sto_thread {
    HANDLE handle;
    void (*run)(void *arg);
    void *arg;
};
struct sto_mutex {
    SRWLOCK lock;
};
struct sto_cond {
    CONDITION_VARIABLE cond;
};

static DWORD WINAPI thread_main(void *arg)
{
    struct sto_thread *thread = arg;
    thread->run(thread->arg);
    return 0;
}

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
    thread->handle = CreateThread(NULL, 0, thread_main, thread, 0, NULL);
    if (thread->handle == NULL) {
        sto_free(thread);
        return NULL;
    }
    return thread;
}

void sto_thread_join(struct sto_thread *thread)
{
    if (thread == NULL)
        return;
    (void)WaitForSingleObject(thread->handle, INFINITE);
    (void)CloseHandle(thread->handle);
    sto_free(thread);
}

struct sto_mutex *sto_mutex_create(void)
{
    struct sto_mutex *mutex = sto_calloc(1, sizeof *mutex);
    if (mutex != NULL)
        InitializeSRWLock(&mutex->lock);
    return mutex;
}

void sto_mutex_destroy(struct sto_mutex *mutex)
{
    sto_free(mutex);
}

void sto_mutex_lock(struct sto_mutex *mutex)
{
    AcquireSRWLockExclusive(&mutex->lock);
}

void sto_mutex_unlock(struct sto_mutex *mutex)
{
    ReleaseSRWLockExclusive(&mutex->lock);
}

struct sto_cond *sto_cond_create(void)
{
    struct sto_cond *cond = sto_calloc(1, sizeof *cond);
    if (cond != NULL)
        InitializeConditionVariable(&cond->cond);
    return cond;
}

void sto_cond_destroy(struct sto_cond *cond)
{
    sto_free(cond);
}

void sto_cond_wait(struct sto_cond *cond, struct sto_mutex *mutex)
{
    (void)SleepConditionVariableSRW(&cond->cond, &mutex->lock, INFINITE, 0);
}

void sto_cond_broadcast(struct sto_cond *cond)
{
    WakeAllConditionVariable(&cond->cond);
}

/* All groups: GetSystemInfo stops at 64. */
unsigned sto_cpu_count(void)
{
    const DWORD n = GetActiveProcessorCount(ALL_PROCESSOR_GROUPS);
    return n > 0 ? (unsigned)n : 1;
}

unsigned sto_core_count(void)
{
    DWORD size = 0;
    unsigned cores = 0;
    (void)GetLogicalProcessorInformationEx(RelationProcessorCore, NULL, &size);
    uint8_t *room = size > 0 ? sto_calloc(1, size) : NULL;
    if (room != NULL &&
        GetLogicalProcessorInformationEx(RelationProcessorCore,
                                         (SYSTEM_LOGICAL_PROCESSOR_INFORMATION_EX *)(void *)room, &size)) {
        for (DWORD at = 0; at < size; cores++)
            at += ((const SYSTEM_LOGICAL_PROCESSOR_INFORMATION_EX *)(const void *)(room + at))->Size;
    }
    sto_free(room);
    return cores > 0 ? cores : sto_cpu_count();
}

void sto_thread_yield(void)
{
    (void)SwitchToThread();
}

void sto_sleep_ms(unsigned ms)
{
    Sleep(ms);
}

/* ---- libraries ---- */

struct sto_library {
    HMODULE handle;
};

struct sto_library *sto_library_open(const char *name)
{
    wchar_t *wide = widen(name);
    HMODULE handle = wide != NULL ? LoadLibraryW(wide) : NULL;
    struct sto_library *library = handle != NULL ? sto_calloc(1, sizeof *library) : NULL;
    sto_free(wide);
    if (library != NULL)
        library->handle = handle;
    else if (handle != NULL)
        (void)FreeLibrary(handle);
    return library;
}

sto_function *sto_library_find(const struct sto_library *library, const char *symbol)
{
    const FARPROC found = GetProcAddress(library->handle, symbol);
    sto_function *function = NULL;
    memcpy(&function, &found, sizeof function);
    return function;
}

void sto_library_close(struct sto_library *library)
{
    if (library == NULL)
        return;
    (void)FreeLibrary(library->handle);
    sto_free(library);
}

/* ---- clock and memory ---- */

uint64_t sto_now_ns(void)
{
    LARGE_INTEGER now, frequency;
    (void)QueryPerformanceCounter(&now);
    (void)QueryPerformanceFrequency(&frequency);
    const uint64_t ticks = (uint64_t)now.QuadPart, per_second = (uint64_t)frequency.QuadPart;
    return ticks / per_second * 1000000000u + ticks % per_second * 1000000000u / per_second;
}

/* The finaliser of splitmix64 (Steele, Lea, Flood 2014) spreads the clock's low bits over the word. */
int64_t sto_local_seconds(void)
{
    SYSTEMTIME local;
    FILETIME t;
    GetLocalTime(&local);
    if (!SystemTimeToFileTime(&local, &t))
        return 0;
    return (int64_t)(((uint64_t)t.dwHighDateTime << 32 | t.dwLowDateTime) / 10000000u) - 11644473600; /* from 1601 */
}

uint64_t sto_wall_seed(void)
{
    FILETIME t;
    GetSystemTimePreciseAsFileTime(&t);
    return sto_hash_mix(((uint64_t)t.dwHighDateTime << 32 | t.dwLowDateTime) ^ (uint64_t)GetCurrentProcessId() << 40);
}

uint64_t sto_ram_bytes(void)
{
    MEMORYSTATUSEX memory = {.dwLength = sizeof memory};
    return GlobalMemoryStatusEx(&memory) ? memory.ullTotalPhys : 0;
}

uint64_t sto_ram_available_bytes(void)
{
    MEMORYSTATUSEX memory = {.dwLength = sizeof memory};
    return GlobalMemoryStatusEx(&memory) ? memory.ullAvailPhys : 0;
}

void sto_memory_want_large_pages(void *data, uint64_t size)
{
    (void)data; /* needs a privilege that people do not have */
    (void)size;
}

uint64_t sto_process_peak_rss(void)
{
    PROCESS_MEMORY_COUNTERS counters = {.cb = sizeof counters};
    return GetProcessMemoryInfo(GetCurrentProcess(), &counters, sizeof counters) ? counters.PeakWorkingSetSize : 0;
}

uint64_t sto_process_pss(void)
{
    PROCESS_MEMORY_COUNTERS counters = {.cb = sizeof counters};
    return GetProcessMemoryInfo(GetCurrentProcess(), &counters, sizeof counters) ? counters.WorkingSetSize : 0;
}

#else
typedef int sto_os_win32_is_empty; /* ISO C wants a declaration in every file */
#endif
