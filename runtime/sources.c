/* As much in memory as fits: all of it, or a fixed part beside buffers for the rest. */
#include "runtime/sources.h"

#include "runtime/base/status.h"
#include "runtime/fit.h"

enum { MOST_STAGING = 4, MOST_AHEAD = 8, LEAST_CHUNKS = 2 };
static const uint64_t MOST_CHUNK_BYTES = 8 << 20, LEAST_CHUNK_BYTES = 1 << 20, CHUNK_GRANULE = 64 << 10;

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t total_of(const struct sto_sources_input *in)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < in->n; i++)
        sum += in->layer_bytes[i];
    return sum;
}

/* No chunk is longer than the largest layer. */
static uint64_t largest_chunk(const struct sto_sources_input *in)
{
    uint64_t layer = 0;
    for (uint32_t i = 0; i < in->n; i++)
        layer = in->layer_bytes[i] > layer ? in->layer_bytes[i] : layer;
    return smaller((layer + CHUNK_GRANULE - 1) / CHUNK_GRANULE * CHUNK_GRANULE, MOST_CHUNK_BYTES);
}

/* Whether layer i is among k of n that lie evenly between the others. */
static bool is_kept(uint32_t i, uint32_t k, uint32_t n)
{
    return (uint64_t)(i + 1) * k / n > (uint64_t)i * k / n;
}

static uint64_t kept_bytes(const struct sto_sources_input *in, uint32_t k)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < in->n; i++)
        sum += is_kept(i, k, in->n) ? in->layer_bytes[i] : 0;
    return sum;
}

uint64_t sto_sources_bytes(const struct sto_sources *s)
{
    return s->pinned_bytes + s->plain_bytes + (s->staging_chunks + s->ahead_chunks) * s->chunk_bytes;
}

/* Gives each kept layer the best memory that is left for it. */
static void assign(const struct sto_sources_input *in, uint32_t k, struct sto_sources *out)
{
    uint64_t pinned = 0;
    const uint64_t staging = out->staging_chunks * out->chunk_bytes;
    if (!in->by_host && in->pinned_bytes > staging)
        pinned = in->pinned_bytes - staging;
    for (uint32_t i = 0; i < in->n; i++) {
        const uint64_t bytes = in->layer_bytes[i];
        if (!is_kept(i, k, in->n)) {
            out->sources[i] = STO_SOURCE_DISK;
            out->disk_bytes += bytes;
        } else if (bytes <= pinned) {
            out->sources[i] = STO_SOURCE_PINNED;
            out->pinned_bytes += bytes;
            pinned -= bytes;
        } else {
            out->sources[i] = STO_SOURCE_PLAIN;
            out->plain_bytes += bytes;
        }
    }
}

/* All layers in memory; out->chunk_bytes as large as can be. */
static bool keep_all(const struct sto_sources_input *in, uint64_t total, struct sto_sources *out)
{
    const bool all_pinned = !in->by_host && total <= in->pinned_bytes;
    if (total > in->room_bytes)
        return false;
    if (!in->by_host && !all_pinned) {
        const uint64_t room = smaller(in->room_bytes - total, in->pinned_bytes);
        const uint64_t smallest = smaller(out->chunk_bytes, LEAST_CHUNK_BYTES);
        uint64_t chunk = out->chunk_bytes;
        while (chunk > smallest && room / chunk < LEAST_CHUNKS)
            chunk = chunk / 2 > smallest ? chunk / 2 : smallest;
        if (room / chunk < LEAST_CHUNKS)
            return false;
        out->chunk_bytes = chunk;
        out->staging_chunks = (uint32_t)smaller(room / chunk, MOST_STAGING);
    }
    assign(in, in->n, out);
    return true;
}

static enum sto_status refuse(const struct sto_sources_input *in, uint64_t least, uint64_t total,
                              struct sto_error *err)
{
    char need[STO_SIZE_CHARS], there[STO_SIZE_CHARS], weights[STO_SIZE_CHARS];
    if (!in->by_host && in->pinned_bytes < LEAST_CHUNKS * smaller(LEAST_CHUNK_BYTES, largest_chunk(in)) &&
        in->pinned_bytes < in->room_bytes)
        return sto_fail(err, STO_ERR_NO_FIT,
                        "copies of streamed layers need at least %s of pinned memory, %s is left; a larger --pinned "
                        "would fit", sto_size_text(LEAST_CHUNKS * smaller(LEAST_CHUNK_BYTES, largest_chunk(in)), need),
                        sto_size_text(in->pinned_bytes, there));
    return sto_fail(err, STO_ERR_NO_FIT,
                    "%u streamed layers (%s) need at least %s of host memory%s, %s is left; a larger --ram would fit, "
                    "or a larger --vram", (unsigned)in->n, sto_size_text(total, weights),
                    sto_size_text(in->has_file ? least : total, need),
                    in->has_file ? " to be read from disk" : ", since there is no file to read them from",
                    sto_size_text(in->room_bytes, there));
}

static enum sto_status refuse_in_place(const struct sto_sources_input *in, uint64_t total, struct sto_error *err)
{
    const uint64_t room = in->by_host || in->room_bytes < in->pinned_bytes ? in->room_bytes : in->pinned_bytes;
    char need[STO_SIZE_CHARS], there[STO_SIZE_CHARS];
    return sto_fail(err, STO_ERR_NO_FIT,
                    "streamed layers and those that are streamed for prompts alone need %s of %s memory, %s is left; a "
                    "larger --ram or --pinned would fit, or layers on the processor in both phases",
                    sto_size_text(total, need), in->by_host ? "host" : "pinned", sto_size_text(room, there));
}

enum sto_status sto_sources_choose(const struct sto_sources_input *in, struct sto_sources *out, struct sto_error *err)
{
    const uint64_t total = total_of(in), largest = largest_chunk(in);
    const uint64_t smallest = smaller(largest, LEAST_CHUNK_BYTES);
    *out = (struct sto_sources){.sources = out->sources, .chunk_bytes = largest};
    if (in->in_place && (total > in->room_bytes || (!in->by_host && total > in->pinned_bytes)))
        return refuse_in_place(in, total, err);
    if (in->n == 0 || keep_all(in, total, out))
        return STO_OK;
    const uint32_t staging = in->by_host ? 0 : LEAST_CHUNKS;
    const uint64_t least = (staging + LEAST_CHUNKS) * smallest;
    if (!in->has_file || in->room_bytes < least || (!in->by_host && in->pinned_bytes < staging * smallest))
        return refuse(in, least, total, err);
    /* a quarter of the room for buffers, within what they can use and what they need */
    uint64_t chunk = largest;
    while (chunk > smallest && (chunk * MOST_AHEAD > in->room_bytes / 4 || in->pinned_bytes < staging * chunk))
        chunk = chunk / 2 > smallest ? chunk / 2 : smallest;
    uint64_t ahead = in->room_bytes / 4 / chunk;
    out->chunk_bytes = chunk;
    out->staging_chunks = staging;
    out->ahead_chunks = (uint32_t)(ahead < LEAST_CHUNKS ? LEAST_CHUNKS : smaller(ahead, MOST_AHEAD));
    const uint64_t kept = in->room_bytes - (out->staging_chunks + out->ahead_chunks) * chunk;
    uint32_t k = in->n - 1;
    while (k > 0 && kept_bytes(in, k) > kept)
        k--;
    assign(in, k, out);
    return STO_OK;
}
