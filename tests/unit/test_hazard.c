/* runtime/vk/hazard: which commands need a barrier, by table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/base/mem.h"
#include "runtime/vk/hazard.h"

/* One use after another: does the second need a barrier? */
static void pairs(void **state)
{
    (void)state;
    static const struct {
        struct sto_use first, second;
        bool conflict;
    } cases[] = {
        {{100, 50, STO_READ}, {100, 50, STO_READ}, false},
        {{100, 50, STO_WRITE}, {100, 50, STO_READ}, true},
        {{100, 50, STO_READ}, {100, 50, STO_WRITE}, true},
        {{100, 50, STO_WRITE}, {100, 50, STO_WRITE}, true},
        {{100, 50, STO_READ_WRITE}, {100, 50, STO_READ}, true},
        {{100, 50, STO_READ}, {100, 50, STO_READ_WRITE}, true},
        {{100, 50, STO_WRITE}, {150, 50, STO_READ}, false}, /* neighbours */
        {{100, 50, STO_WRITE}, {149, 1, STO_READ}, true},   /* the last byte */
        {{100, 50, STO_WRITE}, {50, 50, STO_READ}, false},
        {{100, 50, STO_WRITE}, {50, 51, STO_READ}, true},
        {{100, 50, STO_WRITE}, {110, 5, STO_READ}, true},   /* inside */
        {{110, 5, STO_WRITE}, {100, 50, STO_READ}, true},   /* around */
        {{100, 0, STO_WRITE}, {100, 50, STO_READ}, false},  /* nothing used */
        {{100, 50, STO_WRITE}, {120, 0, STO_WRITE}, false},
        {{0, UINT64_MAX, STO_WRITE}, {UINT64_MAX - 1, 1, STO_READ}, true}, /* the end of the address space */
        {{UINT64_MAX - 3, 100, STO_WRITE}, {UINT64_MAX, 1, STO_READ}, true},
        {{UINT64_MAX - 3, 100, STO_WRITE}, {0, 50, STO_READ}, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sto_hazards h = {0};
        assert_false(sto_hazards_conflict(&h, &cases[i].first, 1));
        assert_true(sto_hazards_add(&h, &cases[i].first, 1));
        if (sto_hazards_conflict(&h, &cases[i].second, 1) != cases[i].conflict)
            fail_msg("case %zu", i);
        sto_hazards_clear(&h);
        assert_false(sto_hazards_conflict(&h, &cases[i].second, 1));
        sto_hazards_destroy(&h);
    }
}

/* Compares with the definition, byte by byte, on random uses in a space of 64 bytes. */
static void agrees_with_the_definition(void **state)
{
    (void)state;
    uint32_t seed = 1;
    struct sto_hazards h = {0};
    uint8_t touched[64] = {0}; /* enum sto_access of each byte */
    for (uint32_t step = 0; step < 20000; step++) {
        struct sto_use uses[3];
        bool expected = false;
        for (uint32_t i = 0; i < 3; i++) {
            seed = seed * 1664525u + 1013904223u;
            uses[i].address = (seed >> 8) % 60;
            uses[i].bytes = (seed >> 16) % 5;
            uses[i].access = (enum sto_access)(1 + (seed >> 24) % 3);
            for (uint64_t b = uses[i].address; b < uses[i].address + uses[i].bytes; b++)
                expected = expected || (touched[b] != 0 && ((touched[b] | (unsigned)uses[i].access) & STO_WRITE) != 0);
        }
        assert_int_equal(sto_hazards_conflict(&h, uses, 3), expected);
        if (expected) {
            sto_hazards_clear(&h);
            for (uint32_t b = 0; b < 64; b++)
                touched[b] = 0;
        }
        assert_true(sto_hazards_add(&h, uses, 3));
        for (uint32_t i = 0; i < 3; i++) {
            for (uint64_t b = uses[i].address; b < uses[i].address + uses[i].bytes; b++)
                touched[b] = (uint8_t)(touched[b] | (unsigned)uses[i].access);
        }
    }
    sto_hazards_destroy(&h);
}

static void memory_is_kept_and_its_lack_is_told(void **state)
{
    (void)state;
    struct sto_hazards h = {0};
    for (uint64_t i = 0; i < 300; i++) {
        const struct sto_use use = {1000 * i, 10, STO_WRITE};
        assert_true(sto_hazards_add(&h, &use, 1));
        assert_true(sto_hazards_add(&h, &use, 1)); /* the same again takes no room */
    }
    assert_int_equal(h.n, 300);
    sto_hazards_clear(&h);
    const uint64_t before = sto_alloc_count();
    for (uint64_t i = 0; i < 300; i++) {
        const struct sto_use use = {1000 * i, 10, STO_READ};
        assert_true(sto_hazards_add(&h, &use, 1));
    }
    assert_int_equal(sto_alloc_count(), before);
    sto_hazards_destroy(&h);
    sto_alloc_fail_after(1);
    assert_false(sto_hazards_add(&h, &(struct sto_use){0, 1, STO_READ}, 1));
    sto_alloc_fail_after(0);
    sto_hazards_destroy(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs),
        cmocka_unit_test(agrees_with_the_definition),
        cmocka_unit_test(memory_is_kept_and_its_lack_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
