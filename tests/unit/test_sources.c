/* Where streamed layers wait, by table: sizes in MiB, chosen so that what fits can be worked out by hand. And the
 * reader that reads some of them ahead, in order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/os.h"
#include "runtime/host_memory.h"
#include "runtime/reader.h"
#include "runtime/sources.h"

enum { N = 8, MIB = 1 << 20 };

/* Eight layers of 100 MiB: a chunk is 8 MiB, staging takes up to four of them, read-ahead up to eight. */
struct source_case {
    uint64_t room, pinned; /* MiB */
    bool by_host, has_file;
    const char *sources; /* p inned, o rdinary, d isk; NULL: does not fit */
    uint64_t chunk;      /* KiB */
    uint32_t staging, ahead;
    const char *error;
};

/* k of 8 layers are kept where i * k / 8 grows behind layer i: 1: 7; 2: 3, 7; 3: 2, 5, 7; 4: 1, 3, 5, 7;
 * 5: 1, 3, 4, 6, 7; 6: 1, 2, 3, 5, 6, 7; 7: all but 0. */
static const struct source_case cases[] = {
    {800, 800, false, true, "pppppppp", 8192, 0, 0, NULL},
    {800, 800, true, true, "oooooooo", 8192, 0, 0, NULL},   /* the processor reads them where they are */
    {9000, 799, false, true, "pppppppo", 8192, 4, 0, NULL}, /* 799 - 32 of staging */
    {832, 432, false, true, "ppppoooo", 8192, 4, 0, NULL},
    {832, 431, false, true, "pppooooo", 8192, 4, 0, NULL},
    {816, 20, false, true, "oooooooo", 8192, 2, 0, NULL},   /* staging within the 20 that may be pinned */
    {802, 20, false, true, "oooooooo", 1024, 2, 0, NULL},   /* and within the 2 that are left */
    {801, 20, false, true, "dooooooo", 8192, 2, 8, NULL},   /* 801 - 16 - 64 = 721 */
    {779, 779, false, true, "dpppdppp", 8192, 2, 8, NULL},  /* 699: six; 779 - 16 may be pinned, which is more */
    {380, 380, true, true, "ddoddodo", 8192, 0, 8, NULL},   /* a quarter is 95, eight chunks 64; 316: three */
    {200, 200, true, true, "dddddddo", 4096, 0, 8, NULL},   /* a quarter is 50: chunks of 4, 32 of them; 168 */
    {100, 100, true, true, "dddddddd", 2048, 0, 8, NULL},
    {16, 16, false, true, "dddddddd", 1024, 2, 4, NULL},
    {4, 4, false, true, "dddddddd", 1024, 2, 2, NULL},
    {2, 2, true, true, "dddddddd", 1024, 0, 2, NULL},
    {3, 3, false, true, NULL, 0, 0, 0, "at least 4.0 MiB of host memory to be read from disk, 3.0 MiB is left"},
    {1, 1, true, true, NULL, 0, 0, 0, "at least 2.0 MiB"},
    {500, 1, false, true, NULL, 0, 0, 0, "at least 2.0 MiB of pinned memory, 1.0 MiB is left; a larger --pinned"},
    {799, 799, false, false, NULL, 0, 0, 0, "at least 800.0 MiB of host memory, since there is no file"},
};

static const char *letters(const enum sto_source *sources)
{
    static char text[N + 1];
    for (uint32_t i = 0; i < N; i++)
        text[i] = sources[i] == STO_SOURCE_PINNED ? 'p' : sources[i] == STO_SOURCE_PLAIN ? 'o' : 'd';
    return text;
}

static void the_best_memory_that_is_left(void **state)
{
    (void)state;
    uint64_t sizes[N];
    for (uint32_t i = 0; i < N; i++)
        sizes[i] = 100 * (uint64_t)MIB;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct source_case *c = &cases[i];
        const struct sto_sources_input in = {.layer_bytes = sizes, .n = N, .room_bytes = c->room * MIB,
                                             .pinned_bytes = c->pinned * MIB, .by_host = c->by_host,
                                             .has_file = c->has_file};
        enum sto_source sources[N];
        struct sto_sources s = {.sources = sources};
        struct sto_error err = {0};
        const enum sto_status status = sto_sources_choose(&in, &s, &err);
        if (c->sources == NULL) {
            assert_int_equal(status, STO_ERR_NO_FIT);
            if (strstr(err.message, c->error) == NULL)
                fail_msg("case %zu: %s", i, err.message);
            continue;
        }
        assert_int_equal(status, STO_OK);
        if (strcmp(letters(sources), c->sources) != 0 || s.chunk_bytes != c->chunk * 1024 ||
            s.staging_chunks != c->staging || s.ahead_chunks != c->ahead)
            fail_msg("case %zu: %s, chunks of %llu KiB, %u of staging, %u ahead", i, letters(sources),
                     (unsigned long long)s.chunk_bytes / 1024, (unsigned)s.staging_chunks, (unsigned)s.ahead_chunks);
        assert_true(sto_sources_bytes(&s) <= in.room_bytes);
        assert_true(s.pinned_bytes + s.staging_chunks * s.chunk_bytes <= in.pinned_bytes);
        assert_true(s.pinned_bytes + s.plain_bytes + s.disk_bytes == 800 * (uint64_t)MIB);
    }
}

/* Layers of random sizes, every budget: it fits, and never holds less than one with a smaller budget did. */
static void more_memory_never_reads_more(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (int round = 0; round < 50; round++) {
        uint64_t sizes[N], least_disk = UINT64_MAX;
        bool fitted = false;
        for (uint32_t i = 0; i < N; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            sizes[i] = ((seed >> 33) % 40 + 1) * (MIB / 4) + 256 * (seed >> 60);
        }
        for (uint64_t room = MIB; room < 100 * (uint64_t)MIB; room += MIB / 2) {
            const struct sto_sources_input in = {.layer_bytes = sizes, .n = N, .room_bytes = room,
                                                 .pinned_bytes = room / 2, .by_host = round % 2 != 0,
                                                 .has_file = true};
            enum sto_source sources[N];
            struct sto_sources s = {.sources = sources};
            if (sto_sources_choose(&in, &s, NULL) != STO_OK) {
                assert_false(fitted);
                continue;
            }
            fitted = true;
            assert_true(sto_sources_bytes(&s) <= room);
            assert_true(s.pinned_bytes + s.staging_chunks * s.chunk_bytes <= room / 2);
            least_disk = s.disk_bytes < least_disk ? s.disk_bytes : least_disk;
        }
        assert_true(fitted);
        assert_int_equal(least_disk, 0);
    }
}

/* ---- the reader ---- */

enum { N_CHUNKS = 7, CHUNK = 64 };

struct script {
    atomic_uint reads;
    uint32_t fails_at; /* chunk; N_CHUNKS: none */
};

/* A chunk's bytes say which one it is. */
static enum sto_status read_scripted(void *user, const struct sto_read_chunk *chunk, uint8_t *dst,
                                     struct sto_error *err)
{
    struct script *s = user;
    atomic_fetch_add(&s->reads, 1);
    if (chunk->piece % 3 == 0)
        sto_thread_yield();
    if (chunk->piece == s->fails_at) {
        *err = (struct sto_error){.status = STO_ERR_FAILED, .message = "chunk 4 is bad"};
        return STO_ERR_FAILED;
    }
    memset(dst, (int)(chunk->piece + 1), (size_t)chunk->bytes);
    return STO_OK;
}

static struct sto_reader *open_reader(struct script *s, uint32_t n_buffers, uint32_t n_threads)
{
    struct sto_read_chunk chunks[N_CHUNKS];
    for (uint32_t i = 0; i < N_CHUNKS; i++)
        chunks[i] = (struct sto_read_chunk){.piece = i, .bytes = CHUNK - i};
    const struct sto_reader_params p = {.read = read_scripted, .user = s, .chunks = chunks, .n_chunks = N_CHUNKS,
                                        .chunk_bytes = CHUNK, .n_buffers = n_buffers, .n_threads = n_threads};
    struct sto_reader *reader = NULL;
    struct sto_error err = {0};
    if (sto_reader_create(&p, &reader, &err) != STO_OK)
        fail_msg("%s", err.message);
    return reader;
}

static void chunks_come_in_order_round_after_round(void **state)
{
    (void)state;
    for (uint32_t n_buffers = 1; n_buffers <= 9; n_buffers += 4) {
        for (uint32_t n_threads = 0; n_threads <= 4; n_threads += 2) {
            const uint64_t before = sto_host_bytes();
            struct script s = {.fails_at = N_CHUNKS};
            struct sto_reader *reader = open_reader(&s, n_buffers, n_threads);
            assert_int_equal(sto_host_bytes() - before, n_buffers * CHUNK);
            for (uint32_t k = 0; k < 3 * N_CHUNKS; k++) {
                const uint8_t *data = NULL;
                struct sto_error err;
                assert_int_equal(sto_reader_take(reader, &data, &err), STO_OK);
                assert_int_equal(data[0], k % N_CHUNKS + 1);
                assert_int_equal(data[CHUNK - 1 - k % N_CHUNKS], k % N_CHUNKS + 1);
                sto_reader_release(reader);
            }
            assert_true(sto_reader_bytes(reader) >= 3 * (N_CHUNKS * CHUNK - 21));
            sto_reader_destroy(reader);
            assert_in_range(atomic_load(&s.reads), 3 * N_CHUNKS, 3 * N_CHUNKS + n_buffers);
            assert_int_equal(sto_host_bytes(), before);
        }
    }
}

static void a_chunk_that_cannot_be_read_is_the_only_one(void **state)
{
    (void)state;
    struct script s = {.fails_at = 4};
    struct sto_reader *reader = open_reader(&s, 3, 2);
    for (uint32_t k = 0; k < 2 * N_CHUNKS; k++) {
        const uint8_t *data = NULL;
        struct sto_error err = {0};
        const enum sto_status status = sto_reader_take(reader, &data, &err);
        assert_int_equal(status, k % N_CHUNKS == 4 ? STO_ERR_FAILED : STO_OK);
        if (status != STO_OK)
            assert_string_equal(err.message, "chunk 4 is bad");
        sto_reader_release(reader);
    }
    sto_reader_destroy(reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_best_memory_that_is_left),
        cmocka_unit_test(more_memory_never_reads_more),
        cmocka_unit_test(chunks_come_in_order_round_after_round),
        cmocka_unit_test(a_chunk_that_cannot_be_read_is_the_only_one),
    };
    return cmocka_run_group_tests_name("sources", tests, NULL, NULL);
}
