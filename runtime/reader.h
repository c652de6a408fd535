/* Reads pieces of a model again and again in a known order, ahead of their use: several threads, a bounded ring of
 * buffers.
 *
 *   readers  --read-->  [chunk 7][chunk 8][chunk 9]  --take, release-->  whoever copies them on
 *
 * Plain reads on a few threads keep as many requests in flight as a disk needs for its rate, on every system; what was
 * read is dropped from the system's cache, so that memory in use stays what was asked for. Where no thread can be
 * started, the one that takes a chunk reads it.
 *
 * Taking belongs to one thread. */
#ifndef STO_READER_H
#define STO_READER_H

#include "runtime/strato.h"

struct sto_reader;

/* Part of a piece: bytes from `at`. */
struct sto_read_chunk {
    uint32_t piece;
    uint64_t at, bytes;
};

struct sto_reader_params {
    /* Reads a chunk. Called from several threads at once. */
    enum sto_status (*read)(void *user, const struct sto_read_chunk *chunk, uint8_t *dst, struct sto_error *err);
    void *user;
    const struct sto_read_chunk *chunks; /* [n_chunks] one round of them, copied; each at most chunk_bytes */
    uint32_t n_chunks;                   /* >= 1                                                           */
    uint64_t chunk_bytes;
    uint32_t n_buffers;                  /* >= 1 of chunk_bytes each                                       */
    uint32_t n_threads;                  /* 0: the one that takes reads                                    */
};

/* Begins to read at once. STO_ERR_NO_FIT: no memory for the buffers. */
enum sto_status sto_reader_create(const struct sto_reader_params *params, struct sto_reader **out,
                                  struct sto_error *err);
void sto_reader_destroy(struct sto_reader *reader); /* accepts NULL; waits for reads that are under way */

/* The next chunk, which stays where it is until it is released; waits for it. An error is that of this chunk alone:
 * *data is what the buffer happens to hold then, and it must be released all the same. */
enum sto_status sto_reader_take(struct sto_reader *reader, const uint8_t **data, struct sto_error *err);
void sto_reader_release(struct sto_reader *reader);

/* Bytes read since it was created. Any thread. */
uint64_t sto_reader_bytes(const struct sto_reader *reader);

#endif
