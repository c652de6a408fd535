/* The seam to the operating system: files, maps, threads, clocks, folders. os_posix.c and os_win32.c implement it;
 * no other file calls POSIX or Win32. Paths are UTF-8. */
#ifndef STO_BASE_OS_H
#define STO_BASE_OS_H

#include <stdio.h>

#include "runtime/base/status.h"

/* ---- files ---- */

/* A whole file mapped read-only. An empty file gives size 0 and data NULL. Filled in by hand with a NULL handle it
 * stands for bytes in memory, which sto_map_read copies. */
struct sto_map {
    const uint8_t *data;
    uint64_t size;
    void *handle; /* the open file: kept so that pieces can be read when the map shrinks under us */
};

/* Errors name the path: not found, a directory, no permission, no address space. */
enum sto_status sto_map_open(const char *path, struct sto_map *out, struct sto_error *err);
void sto_map_close(struct sto_map *map);
/* Reads [offset, offset+size) through the file handle instead of the map: a file that has shrunk gives an error
 * where touching the map would be a SIGBUS. Safe from several threads. */
enum sto_status sto_map_read(const struct sto_map *map, uint64_t offset, void *dst, size_t size, struct sto_error *err);
/* Tells the system that a range will be needed soon, or is not needed any more. Hints only. */
void sto_map_will_need(const struct sto_map *map, uint64_t offset, uint64_t size);
void sto_map_dont_need(const struct sto_map *map, uint64_t offset, uint64_t size);
/* Lets the system's cache drop what sto_map_read brought there. A hint only. */
void sto_map_forget(const struct sto_map *map, uint64_t offset, uint64_t size);

/* A whole file into memory (free with sto_free), at most max_bytes. NUL added after the end, not counted in size. */
enum sto_status sto_file_read(const char *path, uint64_t max_bytes, char **data, size_t *size, struct sto_error *err);
/* Writes a file so that a reader sees the old or the new content, never half: temporary name, flush, rename. */
enum sto_status sto_file_write_atomic(const char *path, const void *data, size_t size, struct sto_error *err);
/* Opens a file for writing from its beginning, as binary; NULL with an error that names the path. Close with fclose. */
FILE *sto_file_create(const char *path, struct sto_error *err);
/* Opens a file for writing behind its first keep_bytes, makes it if there is none, and cuts off what follows. */
FILE *sto_file_append(const char *path, uint64_t keep_bytes, struct sto_error *err);
/* Gives what was written to the system, which keeps it when the program is killed; with to_disk also when the machine
 * is. False: it could not, see errno. What is no file on a disk counts as kept. */
bool sto_file_flush(FILE *file, bool to_disk);
bool sto_file_exists(const char *path);
/* A file's size, and when it was last changed in nanoseconds since some beginning: tells whether it is still the same.
 * False: there is none. */
bool sto_file_stamp(const char *path, uint64_t *size, uint64_t *changed_ns);
/* Creates a folder and its parents, private to the user. */
enum sto_status sto_make_dirs(const char *path, struct sto_error *err);

/* Where caches belong: $XDG_CACHE_HOME/strato, ~/.cache/strato, %LOCALAPPDATA%\strato. "" when there is no home. */
void sto_cache_dir(char *path, size_t size);
/* Where what a program remembers belongs: $XDG_STATE_HOME/strato, ~/.local/state/strato, %LOCALAPPDATA%\strato. */
void sto_state_dir(char *path, size_t size);
/* The folder of the running program, without a slash at the end; "" when unknown. */
void sto_program_dir(char *path, size_t size);

/* ---- threads ---- */

struct sto_thread;
struct sto_mutex;
struct sto_cond;

struct sto_thread *sto_thread_start(void (*run)(void *arg), void *arg); /* NULL: none could be started */
void sto_thread_join(struct sto_thread *thread);                        /* waits, then frees; accepts NULL */
void sto_thread_refuse(bool refuse); /* for tests: from here on no thread can be started, or they can again */
struct sto_mutex *sto_mutex_create(void);
void sto_mutex_destroy(struct sto_mutex *mutex);
void sto_mutex_lock(struct sto_mutex *mutex);
void sto_mutex_unlock(struct sto_mutex *mutex);
struct sto_cond *sto_cond_create(void);
void sto_cond_destroy(struct sto_cond *cond);
void sto_cond_wait(struct sto_cond *cond, struct sto_mutex *mutex);
void sto_cond_broadcast(struct sto_cond *cond);

void sto_sleep_ms(unsigned ms);
void sto_thread_yield(void); /* lets another thread run, if one waits for a processor */

/* Processors this process may use, >= 1. */
unsigned sto_cpu_count(void);
/* Cores among them, >= 1: processors that share a core count once; where that is not known, as sto_cpu_count. */
unsigned sto_core_count(void);

/* ---- libraries that need not be there ---- */

struct sto_library;
typedef void sto_function(void); /* to be cast to what it is */

struct sto_library *sto_library_open(const char *name); /* NULL: there is none */
sto_function *sto_library_find(const struct sto_library *library, const char *symbol); /* NULL likewise */
void sto_library_close(struct sto_library *library); /* accepts NULL */

/* ---- clock and memory ---- */

uint64_t sto_now_ns(void);    /* monotonic */
int64_t sto_local_seconds(void); /* what the wall clock shows here, as seconds since 1970-01-01 00:00 on that clock */
uint64_t sto_wall_seed(void); /* something that differs from run to run, for default seeds */
uint64_t sto_ram_bytes(void); /* of the machine; 0 when unknown */
/* What could be used now without swapping, within the limit of this process's control group; 0: unknown. */
uint64_t sto_ram_available_bytes(void);
/* Asks for large pages behind memory that will be filled and then read from end to end. A hint only. */
void sto_memory_want_large_pages(void *data, uint64_t size);
/* Peak resident set and present proportional set (resident where there is no such figure), in bytes; 0: unknown. */
uint64_t sto_process_peak_rss(void);
uint64_t sto_process_pss(void);

#endif
