/* Placements by table: sizes are chosen so that what fits can be worked out by hand. And --place's text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "host/cli/place.h"
#include "runtime/base/mem.h"
#include "runtime/placement.h"

enum { N = 8 };
/* 80 in all; the fifth is larger than the others */
static const uint64_t sizes[N] = {10, 10, 10, 10, 20, 10, 5, 5};

struct fit_case {
    uint64_t room;
    uint32_t ring;
    const char *lanes; /* r and s per layer; NULL: does not fit */
    uint32_t slots;
    uint64_t resident, streamed, slot;
};

/* Streamed layers are the middles of equal parts: of 8 layers 1: 4; 2: 2, 6; 3: 1, 4, 6; 4: 1, 3, 5, 7;
 * 5: 0, 2, 4, 5, 7; 6: 0, 2, 3, 4, 6, 7; 7: all but 3. */
static const struct fit_case cases[] = {
    {100, 2, "rrrrrrrr", 0, 80, 0, 0},
    {80, 2, "rrrrrrrr", 0, 80, 0, 0},
    {79, 2, "rrsrrrsr", 1, 65, 15, 10},      /* one: 60 + 20 of a ring is 80 again; two: 65 + a single slot of 10 */
    {75, 2, "rrsrrrsr", 1, 65, 15, 10},
    {85, 2, "rrrrrrrr", 0, 80, 0, 0},
    {74, 2, "rsrrsrsr", 1, 45, 35, 20},      /* three: 45 + 20 = 65; with two slots it would be 85 */
    {64, 2, "rsrsrsrs", 1, 45, 35, 10},      /* four: 45 + 10 = 55, with two slots 65 */
    {65, 2, "rsrrsrsr", 1, 45, 35, 20},
    {54, 2, "srsrssrs", 1, 25, 55, 20},      /* five: 25 + 20 = 45 */
    {44, 2, "srsssrss", 1, 20, 60, 20},      /* six: 20 + 20 = 40 */
    {39, 2, "sssrssss", 1, 10, 70, 20},      /* seven: 10 + 20 = 30 */
    {29, 2, "ssssssss", 1, 0, 80, 20},
    {20, 4, "ssssssss", 1, 0, 80, 20},
    {19, 4, NULL, 0, 0, 0, 0},
    {0, 1, NULL, 0, 0, 0, 0},
};

static const char *letters(const enum sto_lane *lanes)
{
    static const char of[] = {[STO_LANE_RESIDENT] = 'r', [STO_LANE_STREAM] = 's', [STO_LANE_CPU] = 'c',
                              [STO_LANE_PHASED] = 'p'};
    static char text[N + 1];
    for (uint32_t l = 0; l < N; l++)
        text[l] = of[lanes[l]];
    return text;
}

static void as_many_as_fit_stay(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct fit_case *c = &cases[i];
        const struct sto_placement_input in = {
            .layer_bytes = sizes, .n_layers = N, .ring_slots = c->ring, .room_bytes = c->room};
        enum sto_lane lanes[N];
        struct sto_placement p = {.lanes = lanes};
        struct sto_error err = {0};
        const enum sto_status status = sto_placement_make(&in, &p, &err);
        if (c->lanes == NULL) {
            assert_int_equal(status, STO_ERR_NO_FIT);
            assert_non_null(strstr(err.message, "one layer at a time does not fit"));
            continue;
        }
        assert_int_equal(status, STO_OK);
        assert_string_equal(letters(lanes), c->lanes);
        assert_int_equal(p.ring_slots, c->slots);
        assert_int_equal(p.resident_bytes, c->resident);
        assert_int_equal(p.streamed_bytes, c->streamed);
        assert_int_equal(p.slot_bytes, c->slot);
        assert_true(sto_placement_device_bytes(&p) <= c->room);
    }
}

/* Whatever the room: what is chosen fits, and more room never streams more layers. */
static void more_room_never_streams_more(void **state)
{
    (void)state;
    for (uint32_t ring = 1; ring <= 4; ring++) {
        uint32_t before = N;
        for (uint64_t room = 20; room <= 100; room++) {
            const struct sto_placement_input in = {
                .layer_bytes = sizes, .n_layers = N, .ring_slots = ring, .room_bytes = room};
            enum sto_lane lanes[N];
            struct sto_placement p = {.lanes = lanes};
            assert_int_equal(sto_placement_make(&in, &p, NULL), STO_OK);
            assert_true(sto_placement_device_bytes(&p) <= room);
            assert_true(p.ring_slots <= ring && p.ring_slots <= p.n_streamed);
            assert_true((p.n_streamed == 0) == (p.ring_slots == 0));
            assert_true(p.n_streamed <= before);
            before = p.n_streamed;
        }
        assert_int_equal(before, 0);
    }
}

static void lanes_that_are_given_stay(void **state)
{
    (void)state;
    enum sto_lane given[N] = {STO_LANE_RESIDENT, STO_LANE_STREAM, STO_LANE_STREAM, STO_LANE_RESIDENT,
                              STO_LANE_STREAM,   STO_LANE_STREAM, STO_LANE_STREAM, STO_LANE_RESIDENT};
    enum sto_lane lanes[N];
    struct sto_placement p = {.lanes = lanes};
    struct sto_error err = {0};
    struct sto_placement_input in = {
        .layer_bytes = sizes, .n_layers = N, .lanes = given, .ring_slots = 3, .room_bytes = 85};
    assert_int_equal(sto_placement_make(&in, &p, &err), STO_OK);
    assert_string_equal(letters(lanes), "rssrsssr");
    assert_int_equal(p.ring_slots, 3); /* 25 + 3 x 20 */
    in.room_bytes = 84;
    assert_int_equal(sto_placement_make(&in, &p, &err), STO_OK);
    assert_int_equal(p.ring_slots, 2);
    in.room_bytes = 44;
    assert_int_equal(sto_placement_make(&in, &p, &err), STO_ERR_NO_FIT);
    assert_non_null(strstr(err.message, "as they are placed"));
    given[5] = STO_LANE_CPU;
    in.room_bytes = 1000;
    assert_int_equal(sto_placement_make(&in, &p, &err), STO_OK);
    assert_string_equal(letters(lanes), "rssrscsr");
    assert_int_equal(p.n_cpu, 1);
    assert_int_equal(p.n_streamed, 4);
    assert_int_equal(p.resident_bytes, 25);
    assert_int_equal(p.streamed_bytes, 45);
    assert_int_equal(p.cpu_bytes, 10);
    assert_int_equal(p.n_phased, 0);
    given[5] = STO_LANE_PHASED; /* the ring is for it, too */
    given[0] = given[1] = given[2] = given[4] = given[6] = STO_LANE_RESIDENT;
    assert_int_equal(sto_placement_make(&in, &p, &err), STO_OK);
    assert_string_equal(letters(lanes), "rrrrrprr");
    assert_int_equal(p.n_cpu, 1);
    assert_int_equal(p.n_phased, 1);
    assert_int_equal(p.n_streamed, 0);
    assert_int_equal(p.ring_slots, 1);
    assert_int_equal(p.slot_bytes, 10);
    assert_int_equal(p.cpu_bytes, 10);
    assert_int_equal(p.phased_bytes, 10);
    given[3] = STO_LANE_COUNT;
    assert_int_equal(sto_placement_make(&in, &p, &err), STO_ERR_USAGE);
    assert_non_null(strstr(err.message, "layer 3 cannot go to lane 4"));
}

/* ---- --place ---- */

static void places_are_read(void **state)
{
    (void)state;
    static const char *const texts[][2] = {
        {"resident", "rrrrrrrr"},
        {"stream", "ssssssss"},
        {"cpu", "cccccccc"},
        {"stream:0-7", "ssssssss"},
        {"stream:2", "rrsrrrrr"},
        {"resident:0-3,stream:4-5,cpu:6-7", "rrrrsscc"},
        {"stream:7,stream:0,cpu:3-4", "srrccrrs"},
        {"phased", "pppppppp"},
        {"resident:0-4,phased:5-6", "rrrrrppr"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        enum sto_lane *lanes;
        assert_int_equal(sto_parse_place(texts[i][0], N, &lanes, NULL), STO_OK);
        assert_string_equal(letters(lanes), texts[i][1]);
        sto_free(lanes);
    }
}

/* Every placement of N layers, as text and back. */
static void places_are_written_as_they_are_read(void **state)
{
    (void)state;
    enum { PLACEMENTS = 65536 }; /* 4 lanes for each of N */
    for (uint32_t i = 0; i < PLACEMENTS; i++) {
        enum sto_lane given[N], *lanes;
        char text[256];
        for (uint32_t l = 0, rest = i; l < N; l++, rest /= 4)
            given[l] = (enum sto_lane)(rest % 4);
        sto_place_text(given, N, text, sizeof text);
        assert_int_equal(sto_parse_place(text, N, &lanes, NULL), STO_OK);
        assert_memory_equal(lanes, given, sizeof given);
        sto_free(lanes);
    }
}

/* The word alone asks for no device at all; layers with an embedding and logits elsewhere are a range. */
static void all_layers_on_the_processor_are_a_range(void **state)
{
    (void)state;
    static const enum sto_lane cpu[N] = {STO_LANE_CPU, STO_LANE_CPU, STO_LANE_CPU, STO_LANE_CPU,
                                         STO_LANE_CPU, STO_LANE_CPU, STO_LANE_CPU, STO_LANE_CPU};
    static const enum sto_lane streamed[N] = {STO_LANE_STREAM, STO_LANE_STREAM, STO_LANE_STREAM, STO_LANE_STREAM,
                                              STO_LANE_STREAM, STO_LANE_STREAM, STO_LANE_STREAM, STO_LANE_STREAM};
    char text[64];
    sto_place_text(cpu, N, text, sizeof text);
    assert_string_equal(text, "cpu:0-7");
    sto_place_text(cpu, 1, text, sizeof text);
    assert_string_equal(text, "cpu:0");
    sto_place_text(streamed, N, text, sizeof text);
    assert_string_equal(text, "stream");
    sto_place_text(cpu, N, text, 5); /* what does not fit is cut off */
    assert_string_equal(text, "cpu:");
}

static void wrong_places_say_what_is_wrong(void **state)
{
    (void)state;
    static const char *const texts[][2] = {
        {"", "there is no lane ''"},
        {"gpu", "there is no lane 'gpu'"},
        {"streams:0-1", "there is no lane 'streams'"},
        {"stream,", "'stream' names no layers"},
        {"stream:0-7,", "there is no lane ''"},
        {"stream:", "'' is no range"},
        {"stream:-", "'-' is no range"},
        {"stream:3-", "'3-' is no range"},
        {"stream:-3", "'-3' is no range"},
        {"stream:3-2", "'3-2' is no range"},
        {"stream:0-8", "'0-8' is no range of layers: the model has 0 to 7"},
        {"stream:8", "'8' is no range"},
        {"stream:99999999999999999999", "is no range"},
        {"stream:1 -2", "'1 -2' is no range"},
        {"stream:1-2x", "'1-2x' is no range"},
        {"stream:0-3,cpu:3-4", "layer 3 is named twice"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        enum sto_lane *lanes;
        struct sto_error err = {0};
        assert_int_equal(sto_parse_place(texts[i][0], N, &lanes, &err), STO_ERR_USAGE);
        assert_null(lanes);
        if (strstr(err.message, texts[i][1]) == NULL)
            fail_msg("'%s': '%s' does not say '%s'", texts[i][0], err.message, texts[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_many_as_fit_stay),       cmocka_unit_test(more_room_never_streams_more),
        cmocka_unit_test(lanes_that_are_given_stay), cmocka_unit_test(places_are_read),
        cmocka_unit_test(places_are_written_as_they_are_read),
        cmocka_unit_test(all_layers_on_the_processor_are_a_range),
        cmocka_unit_test(wrong_places_say_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
