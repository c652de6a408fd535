/* How fast a model's file is read. */
#include "runtime/base/os.h"
#include "runtime/model.h"
#include "runtime/probe.h"
#include "runtime/reader.h"

enum { LEAST_CHUNK_BYTES = 64 << 10, MOST_CHUNK_BYTES = 4 << 20, MAX_CHUNKS = 64, N_BUFFERS = 8, N_THREADS = 4 };
static const uint64_t MOST_NS = 300000000;

/* A chunk's piece is the number of a weight here. */
static enum sto_status read_chunk(void *user, const struct sto_read_chunk *chunk, uint8_t *dst, struct sto_error *err)
{
    const struct sto_model *m = user;
    return m->vtable->read_weight(m, &m->weights[chunk->piece], chunk->at, dst, (size_t)chunk->bytes, err);
}

/* Spread over the whole file; the system's cache forgets them. */
static uint32_t list_chunks(const struct sto_model *m, uint64_t size, struct sto_read_chunk *chunks)
{
    uint32_t n = 0;
    uint64_t total = 0, passed = 0;
    for (uint32_t i = 0; i < m->n_weights; i++)
        total += m->weights[i].bytes / size;
    const uint64_t step = total / MAX_CHUNKS + 1;
    for (uint32_t i = 0; i < m->n_weights; i++) {
        for (uint64_t k = 0; k < m->weights[i].bytes / size; k++, passed++) {
            if (passed % step == 0 && n < MAX_CHUNKS)
                chunks[n++] = (struct sto_read_chunk){i, k * size, size};
        }
    }
    for (uint32_t i = 0; i < n; i++)
        m->vtable->forget_weight(m, &m->weights[chunks[i].piece], chunks[i].at, (size_t)size);
    return n;
}

static uint64_t chunk_for(const struct sto_model *m)
{
    uint64_t total = 0, size = MOST_CHUNK_BYTES;
    for (uint32_t i = 0; i < m->n_weights; i++)
        total += m->weights[i].bytes;
    while (size > LEAST_CHUNK_BYTES && size > total / MAX_CHUNKS / 2)
        size /= 2;
    return size;
}

double sto_probe_disk(const struct sto_model *m)
{
    struct sto_read_chunk chunks[MAX_CHUNKS];
    struct sto_reader *reader = NULL;
    if (!m->has_data || m->vtable->forget_weight == NULL)
        return 0;
    const uint64_t size = chunk_for(m);
    const struct sto_reader_params params = {.read = read_chunk, .user = (void *)(uintptr_t)m, .chunks = chunks,
                                             .n_chunks = list_chunks(m, size, chunks), .chunk_bytes = size,
                                             .n_buffers = N_BUFFERS, .n_threads = N_THREADS};
    const uint64_t begin = sto_now_ns();
    if (params.n_chunks == 0 || sto_reader_create(&params, &reader, NULL) != STO_OK)
        return 0;
    uint64_t bytes = 0;
    enum sto_status status = STO_OK;
    for (uint32_t i = 0; i + N_BUFFERS <= params.n_chunks && status == STO_OK && sto_now_ns() - begin < MOST_NS; i++) {
        const uint8_t *data;
        status = sto_reader_take(reader, &data, NULL);
        sto_reader_release(reader);
        bytes += size;
    }
    const uint64_t ns = sto_now_ns() - begin;
    sto_reader_destroy(reader);
    return status == STO_OK && bytes > 0 && ns > 0 ? (double)bytes / (double)ns : 0;
}
