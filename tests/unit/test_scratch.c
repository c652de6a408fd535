/* Scratch plans: temporaries that live at the same time never share a byte, others share memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/model.h"

enum { MOST = 64, PHASES = 12 };

static uint32_t state_of_chance;

static uint32_t chance(uint32_t n)
{
    state_of_chance = state_of_chance * 1664525u + 1013904223u;
    return (state_of_chance >> 8) % n;
}

/* Paints every phase's items on a map of 256-byte cells: none may be painted twice. */
static void check_plan(const struct sto_scratch_item *items, uint32_t n, uint64_t total)
{
    enum { CELLS = 4096 };
    assert_true(total % 256 == 0 && total / 256 <= CELLS);
    for (uint32_t phase = 0; phase < PHASES; phase++) {
        uint8_t used[CELLS] = {0};
        for (uint32_t i = 0; i < n; i++) {
            const struct sto_scratch_item *it = &items[i];
            assert_int_equal(it->offset % 256, 0);
            assert_true(it->offset + it->bytes <= total);
            if (phase < it->first || phase > it->last)
                continue;
            for (uint64_t cell = it->offset / 256; cell * 256 < it->offset + it->bytes; cell++) {
                if (used[cell]++ != 0)
                    fail_msg("phase %u: item %u shares byte %llu", phase, i, (unsigned long long)cell * 256);
            }
        }
    }
}

static uint64_t rounded(uint64_t n)
{
    return (n + 255) / 256 * 256;
}

static void items_that_live_together_never_overlap(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < 3000; round++) {
        struct sto_scratch_item items[MOST];
        state_of_chance = round * 977 + 1;
        const uint32_t n = 1 + chance(round % 100 == 0 ? MOST : 14);
        uint64_t all = 0, busiest = 0;
        for (uint32_t i = 0; i < n; i++) {
            const uint32_t a = chance(PHASES), b = chance(PHASES);
            items[i] = (struct sto_scratch_item){.bytes = chance(5) == 0 ? 0 : 1 + chance(12000),
                                                 .first = a < b ? a : b, .last = a < b ? b : a,
                                                 .offset = UINT64_MAX};
            all += rounded(items[i].bytes);
        }
        const uint64_t total = sto_scratch_plan(items, n);
        check_plan(items, n, total);
        for (uint32_t phase = 0; phase < PHASES; phase++) {
            uint64_t sum = 0;
            for (uint32_t i = 0; i < n; i++)
                sum += phase >= items[i].first && phase <= items[i].last ? rounded(items[i].bytes) : 0;
            busiest = sum > busiest ? sum : busiest;
        }
        assert_true(total >= busiest && total <= all);
    }
}

static void items_of_different_times_share(void **state)
{
    struct sto_scratch_item chain[8];
    (void)state;
    for (uint32_t i = 0; i < 8; i++)
        chain[i] = (struct sto_scratch_item){.bytes = 1000, .first = i, .last = i};
    assert_int_equal(sto_scratch_plan(chain, 8), 1024);
    for (uint32_t i = 0; i < 8; i++)
        chain[i] = (struct sto_scratch_item){.bytes = 1000, .first = 0, .last = i};
    assert_int_equal(sto_scratch_plan(chain, 8), 8 * 1024);
    for (uint32_t i = 0; i < 8; i++) /* each meets its neighbours only */
        chain[i] = (struct sto_scratch_item){.bytes = 1000, .first = i, .last = i + 1};
    assert_int_equal(sto_scratch_plan(chain, 8), 2 * 1024);
}

static void nothing_needs_nothing(void **state)
{
    struct sto_scratch_item one = {.bytes = 0};
    (void)state;
    assert_int_equal(sto_scratch_plan(NULL, 0), 0);
    assert_int_equal(sto_scratch_plan(&one, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_that_live_together_never_overlap),
        cmocka_unit_test(items_of_different_times_share),
        cmocka_unit_test(nothing_needs_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
