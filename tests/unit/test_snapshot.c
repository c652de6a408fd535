/* runtime/vk/snapshot: text and back, and text that is not a snapshot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/os.h"
#include "runtime/vk/snapshot.h"

static struct sto_device_snapshot parsed;
static struct sto_error err;

static enum sto_status parse(const char *text)
{
    return sto_snapshot_parse("test", text, strlen(text), &parsed, &err);
}

/* All of a struct's fields, each with a value of its own. */
static void fill(struct sto_device_snapshot *s)
{
    memset(s, 0, sizeof *s);
    (void)snprintf(s->name, sizeof s->name, "A card  with 2 spaces \xc3\xa9");
    (void)snprintf(s->driver_name, sizeof s->driver_name, "driver");
    s->vendor_id = 0x10de;
    s->device_id = 0xffffffffu;
    s->driver_version = 7;
    s->api_version = (1u << 22) | (3u << 12) | 250;
    s->kind = STO_DEVICE_DISCRETE;
    for (uint8_t i = 0; i < 16; i++)
        s->pipeline_cache_uuid[i] = (uint8_t)(i * 17);
    s->max_workgroup_count[0] = 1;
    s->max_workgroup_count[1] = 2;
    s->max_workgroup_count[2] = 3;
    s->max_buffer_bytes = UINT64_MAX;
    s->timestamp_period_ns = 83.333336f;
    s->subgroup_size = 32;
    s->shader_float16 = true;
    s->ext_portability_subset = true;
    s->n_heaps = STO_MAX_HEAPS;
    for (uint32_t i = 0; i < STO_MAX_HEAPS; i++) {
        s->heaps[i].bytes = 1000 + i;
        s->heaps[i].budget_bytes = i;
        s->heaps[i].usage_bytes = 2 * i;
        s->heaps[i].device_local = i % 2 == 0;
    }
    s->n_memory_types = STO_MAX_MEMORY_TYPES;
    for (uint32_t i = 0; i < STO_MAX_MEMORY_TYPES; i++) {
        s->memory_types[i].heap = i / 2;
        s->memory_types[i].device_local = (i & 1) != 0;
        s->memory_types[i].host_visible = (i & 2) != 0;
        s->memory_types[i].host_coherent = (i & 4) != 0;
        s->memory_types[i].host_cached = (i & 8) != 0;
        s->memory_types[i].lazily_allocated = (i & 16) != 0;
        s->memory_types[i].protected_memory = i == 3;
        s->memory_types[i].device_uncached = i == 5;
    }
    s->n_queue_families = 2;
    s->queue_families[0].count = 16;
    s->queue_families[0].timestamp_bits = 64;
    s->queue_families[0].graphics = s->queue_families[0].compute = s->queue_families[0].transfer = true;
    s->queue_families[1].count = 1;
    s->queue_families[1].sparse = true;
    s->n_coopmat_shapes = 1;
    s->coopmat_shapes[0].m = 16;
    s->coopmat_shapes[0].n = 8;
    s->coopmat_shapes[0].k = 4;
    s->coopmat_shapes[0].result_type = 1;
    s->coopmat_shapes[0].saturating = true;
    s->coopmat_shapes[0].scope = 3;
}

static void what_is_written_reads_back_equal(void **state)
{
    (void)state;
    static struct sto_device_snapshot s;
    static char text[32768], again[32768];
    fill(&s);
    const size_t length = sto_snapshot_print(&s, text, sizeof text);
    assert_true(length < sizeof text);
    assert_int_equal(length, strlen(text));
    if (parse(text) != STO_OK)
        fail_msg("%s", err.message);
    assert_memory_equal(&s, &parsed, sizeof s);
    assert_int_equal(sto_snapshot_print(&parsed, again, sizeof again), length);
    assert_string_equal(text, again);
    /* A short buffer gets what fits, and the length that it would need. */
    assert_int_equal(sto_snapshot_print(&s, again, 10), length);
    assert_int_equal(strlen(again), 9);
    assert_int_equal(sto_snapshot_print(&s, NULL, 0), length);
}

static void periods_of_clocks_are_exact(void **state)
{
    (void)state;
    static const float periods[] = {1.0f,   10.0f,     83.333333f, 52.083332f, 41.666668f,
                                    0.125f, 999999.0f, 38.46154f,  1.5f};
    static char text[32768];
    for (size_t i = 0; i < sizeof periods / sizeof *periods; i++) {
        struct sto_device_snapshot s;
        fill(&s);
        s.timestamp_period_ns = periods[i];
        (void)sto_snapshot_print(&s, text, sizeof text);
        assert_int_equal(parse(text), STO_OK);
        assert_true(parsed.timestamp_period_ns == periods[i]);
    }
}

static void names_of_drivers_cannot_break_a_line(void **state)
{
    (void)state;
    static char text[32768];
    struct sto_device_snapshot s;
    fill(&s);
    (void)snprintf(s.name, sizeof s.name, "evil\nsubgroup_size 4\x1b[0m");
    (void)sto_snapshot_print(&s, text, sizeof text);
    assert_int_equal(parse(text), STO_OK);
    assert_string_equal(parsed.name, "evil?subgroup_size 4?[0m");
    assert_int_equal(parsed.subgroup_size, 32);
}

/* After a head that is right. */
static void bad_lines_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *line, *message;
    } cases[] = {
        {"colour red", "test:3: no device has a 'colour'"},
        {"subgroup_size -1", "test:3: subgroup_size cannot be '-1' here"},
        {"subgroup_size 4294967296", "test:3: subgroup_size cannot be '4294967296' here"},
        {"subgroup_size", "test:3: subgroup_size cannot be '' here"},
        {"subgroup_size 8 8", "test:3: subgroup_size cannot be '8 8' here"},
        {"subgroup_size 8x", "test:3: subgroup_size cannot be '8x' here"},
        {"subgroup_size 0x", "test:3: subgroup_size cannot be '0x' here"},
        {"max_buffer_bytes 18446744073709551616", "test:3: max_buffer_bytes cannot be '18446744073709551616' here"},
        {"max_buffer_bytes 99999999999999999999999999", "test:3: max_buffer_bytes cannot be"},
        {"shader_float16 yes", "test:3: shader_float16 cannot be 'yes' here"},
        {"kind fast", "test:3: kind cannot be 'fast' here"},
        {"name twice", "test:3: name cannot be 'twice' here"},
        {"max_workgroup_size 1 2", "test:3: max_workgroup_size cannot be '1 2' here"},
        {"timestamp_period_ns 1e9", "test:3: timestamp_period_ns cannot be '1e9' here"},
        {"timestamp_period_ns -1", "test:3: timestamp_period_ns cannot be '-1' here"},
        {"timestamp_period_ns nan", "test:3: timestamp_period_ns cannot be 'nan' here"},
        {"timestamp_period_ns 1.1234567890123", "test:3: timestamp_period_ns cannot be"},
        {"pipeline_cache_uuid 00", "test:3: pipeline_cache_uuid cannot be '00' here"},
        {"pipeline_cache_uuid 0000000000000000000000000000000g", "test:3: pipeline_cache_uuid cannot be"},
        {"heap 1 2", "test:3: heap cannot be '1 2' here"},
        {"heap 1 2 3 fast", "test:3: heap cannot be '1 2 3 fast' here"},
        {"heap 1 2 3 device_local,", "test:3: heap cannot be '1 2 3 device_local,' here"},
        {"memory_type 0 host_visible", "test:3: memory_type cannot be '0 host_visible' here"}, /* no such heap */
        {"queue_family 1 64", "test:3: queue_family cannot be '1 64' here"},
        {"coopmat 1 2 3 4 5 6 7 8", "test:3: coopmat cannot be"},
        {"coopmat 1 2 3 4 5 6 7 2 3", "test:3: coopmat cannot be"},
        {"driver_info \x1b[31m\nzzz", "test:4: no device has a 'zzz'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[512];
        (void)snprintf(text, sizeof text, "name A\napi_version 0x403000\n%s\n", cases[i].line);
        assert_int_equal(parse(text), STO_ERR_USAGE);
        if (strncmp(err.message, cases[i].message, strlen(cases[i].message)) != 0)
            fail_msg("'%s' gave '%s'", cases[i].line, err.message);
    }
}

static void lists_have_ends(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int room;
    } lists[] = {{"heap 1 0 0 -", STO_MAX_HEAPS},
                 {"memory_type 0 -", STO_MAX_MEMORY_TYPES},
                 {"queue_family 1 0 -", STO_MAX_QUEUE_FAMILIES},
                 {"coopmat 1 1 1 1 1 1 1 0 1", STO_MAX_COOPMAT_SHAPES}};
    static char text[8192];
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        for (int extra = 0; extra <= 1; extra++) {
            size_t n = (size_t)snprintf(text, sizeof text, "name A\napi_version 1\n%s", i == 1 ? "heap 1 0 0 -\n" : "");
            for (int j = 0; j < lists[i].room + extra; j++)
                n += (size_t)snprintf(text + n, sizeof text - n, "%s\n", lists[i].line);
            assert_int_equal(parse(text), extra == 0 ? STO_OK : STO_ERR_USAGE);
        }
    }
}

static void what_is_no_snapshot_is_refused(void **state)
{
    (void)state;
    assert_int_equal(parse(""), STO_ERR_USAGE);
    assert_string_equal(err.message, "test: not a device snapshot: it has no name");
    assert_int_equal(parse("# only a comment\n\n   \n"), STO_ERR_USAGE);
    assert_int_equal(parse("name A\n"), STO_ERR_USAGE);
    assert_string_equal(err.message, "test: not a device snapshot: it has no api_version");
    static char text[1024];
    memset(text, 'x', sizeof text - 1);
    assert_int_equal(parse(text), STO_ERR_USAGE);
    (void)snprintf(text, sizeof text, "name %0300d\n", 1); /* longer than a name may be */
    assert_int_equal(parse(text), STO_ERR_USAGE);
    assert_int_equal(sto_snapshot_parse("test", "name A\0B\n", 9, &parsed, &err), STO_ERR_USAGE);
    assert_int_equal(sto_snapshot_parse("test", "\0\0\0\0", 4, &parsed, &err), STO_ERR_USAGE);
}

/* Every prefix of a real one, and every byte of it changed, is read or refused, never more: for the sanitizers. */
static void damaged_text_is_survived(void **state)
{
    (void)state;
    char *text;
    size_t size;
    if (sto_file_read(STRATO_SOURCE_DIR "/tests/snapshots/radv-navi21-trixie.txt", 1 << 20, &text, &size, &err) !=
        STO_OK)
        fail_msg("%s", err.message);
    for (size_t i = 0; i < size; i++) {
        char *copy = sto_strndup(text, i); /* of exactly that size */
        (void)sto_snapshot_parse("test", copy, i, &parsed, &err);
        sto_free(copy);
        static const char bytes[] = {0, ' ', '\n', '9', (char)0xff, ','};
        const char was = text[i];
        text[i] = bytes[i % sizeof bytes];
        (void)sto_snapshot_parse("test", text, size, &parsed, &err);
        text[i] = was;
    }
    sto_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_reads_back_equal),
        cmocka_unit_test(periods_of_clocks_are_exact),
        cmocka_unit_test(names_of_drivers_cannot_break_a_line),
        cmocka_unit_test(bad_lines_are_named),
        cmocka_unit_test(lists_have_ends),
        cmocka_unit_test(what_is_no_snapshot_is_refused),
        cmocka_unit_test(damaged_text_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
