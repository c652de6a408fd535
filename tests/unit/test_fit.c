/* The context that fits, by table, from the rule in DESIGN ("Context"): the trained length when weights and KV fit;
 * else the largest power of two from 4,096 up; else an error. Sizes are chosen so that borders can be worked out by
 * hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/fit.h"

enum { MIB = 1 << 20 };

struct fit_case {
    const char *what;
    struct sto_fit_input in;
    uint32_t expected; /* 0: an error */
    enum sto_status status;
    const char *part; /* of the error's text */
};

/* Weights 100 MiB, fixed 10 MiB, 1 KiB per token unless the line says otherwise. */
#define SIZES .weight_bytes = 100 * (uint64_t)MIB, .fixed_bytes = 10 * (uint64_t)MIB, .kv_bytes_per_token = 1000, \
              .scratch_bytes_per_token = 24, .granule_tokens = 16
#define ROOM_FOR(tokens) .available_bytes = 110 * (uint64_t)MIB + (uint64_t)(tokens) * 1024

static const struct fit_case cases[] = {
    {"all of a trained length", {SIZES, ROOM_FOR(40960), .trained_tokens = 40960}, 40960, 0, NULL},
    {"one byte less", {SIZES, .available_bytes = 110 * (uint64_t)MIB + 40960 * 1024 - 1, .trained_tokens = 40960},
     32768, 0, NULL},
    {"a power of two exactly", {SIZES, ROOM_FOR(16384), .trained_tokens = 40960}, 16384, 0, NULL},
    {"just below a power of two", {SIZES, ROOM_FOR(16383), .trained_tokens = 40960}, 8192, 0, NULL},
    {"the smallest", {SIZES, ROOM_FOR(4096), .trained_tokens = 40960}, 4096, 0, NULL},
    {"less than the smallest", {SIZES, ROOM_FOR(4095), .trained_tokens = 40960}, 0, STO_ERR_NO_FIT, "--ctx 4080"},
    {"what gives more room", {SIZES, ROOM_FOR(4095), .option = "--ram", .trained_tokens = 40960}, 0, STO_ERR_NO_FIT,
     "a larger --ram or --ctx 4080 would fit"},
    {"nothing but the weights", {SIZES, ROOM_FOR(0), .trained_tokens = 40960}, 0, STO_ERR_NO_FIT, "smaller"},
    {"less than the weights", {SIZES, .available_bytes = MIB, .trained_tokens = 40960}, 0, STO_ERR_NO_FIT,
     "1.0 MiB is available"},
    {"nothing at all", {SIZES, .trained_tokens = 40960}, 0, STO_ERR_NO_FIT, "weights 100.0 MiB"},
    {"a short trained length fits", {SIZES, ROOM_FOR(2048), .trained_tokens = 2048}, 2048, 0, NULL},
    {"a short trained length does not", {SIZES, ROOM_FOR(2047), .trained_tokens = 2048}, 0, STO_ERR_NO_FIT,
     "--ctx 2032"},
    {"a trained length of 4096 does not", {SIZES, ROOM_FOR(4000), .trained_tokens = 4096}, 0, STO_ERR_NO_FIT,
     "--ctx 4000"},
    {"trained for one token", {SIZES, ROOM_FOR(16), .trained_tokens = 1}, 1, 0, NULL},
    {"never beyond the trained length", {SIZES, ROOM_FOR(1 << 20), .trained_tokens = 5000}, 5000, 0, NULL},
    {"between 4096 and the trained length", {SIZES, ROOM_FOR(4999), .trained_tokens = 5000}, 4096, 0, NULL},
    {"wanted and fits", {SIZES, ROOM_FOR(1008), .trained_tokens = 40960, .wanted_tokens = 1000}, 1000, 0, NULL},
    {"wanted, rounded up to a page", {SIZES, ROOM_FOR(1000), .trained_tokens = 40960, .wanted_tokens = 1000}, 0,
     STO_ERR_NO_FIT, "--ctx 992"},
    {"wanted more than fits", {SIZES, ROOM_FOR(8192), .trained_tokens = 40960, .wanted_tokens = 8193}, 0,
     STO_ERR_NO_FIT, "--ctx 8192"},
    {"wanted one", {SIZES, ROOM_FOR(16), .trained_tokens = 40960, .wanted_tokens = 1}, 1, 0, NULL},
    {"wanted the trained length", {SIZES, ROOM_FOR(40960), .trained_tokens = 40960, .wanted_tokens = 40960}, 40960, 0,
     NULL},
    {"wanted more than trained for", {SIZES, ROOM_FOR(1 << 20), .trained_tokens = 40960, .wanted_tokens = 40961}, 0,
     STO_ERR_USAGE, "40961"},
    {"Qwen3-8B in f16 KV, 12 GiB",
     {.weight_bytes = 4680000000u, .fixed_bytes = 300u * MIB, .kv_bytes_per_token = 147456, .granule_tokens = 256,
      .available_bytes = (uint64_t)12 << 30, .trained_tokens = 40960},
     40960, 0, NULL},
    {"Qwen3-8B in f16 KV, 8 GiB", /* 8 - 4.36 - 0.29 GiB of room: 24,383 tokens */
     {.weight_bytes = 4680000000u, .fixed_bytes = 300u * MIB, .kv_bytes_per_token = 147456, .granule_tokens = 256,
      .available_bytes = (uint64_t)8 << 30, .trained_tokens = 40960},
     16384, 0, NULL},
    {"sizes in gibibytes", {.weight_bytes = (uint64_t)5 << 30, .available_bytes = (uint64_t)4 << 30,
                            .kv_bytes_per_token = MIB, .trained_tokens = 8192},
     0, STO_ERR_NO_FIT, "weights 5.00 GiB, KV cache of 4096 tokens 4.00 GiB"},
};

static void contexts_by_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct fit_case *c = &cases[i];
        struct sto_error err = {0};
        uint32_t tokens = 0;
        const enum sto_status status = sto_fit_context(&c->in, &tokens, &err);
        if (status != c->status || tokens != c->expected)
            fail_msg("%s: status %s, %u tokens, expected %s, %u; '%s'", c->what, sto_status_name(status), tokens,
                     sto_status_name(c->status), c->expected, err.message);
        if (c->part != NULL && strstr(err.message, c->part) == NULL)
            fail_msg("%s: '%s' does not say '%s'", c->what, err.message, c->part);
    }
}

/* The advice in an error holds: what it names fits, and one page more does not. */
static void advice_holds(void **state)
{
    (void)state;
    for (uint64_t room = 0; room < 5000 * 1024; room += 7919) {
        struct sto_fit_input in = {SIZES, .available_bytes = 110 * (uint64_t)MIB + room, .trained_tokens = 40960,
                                   .wanted_tokens = 40000};
        struct sto_error err = {0};
        uint32_t tokens = 0;
        unsigned advised = 0;
        assert_int_equal(sto_fit_context(&in, &tokens, &err), STO_ERR_NO_FIT);
        const char *at = strstr(err.message, "--ctx ");
        assert_true(at == NULL ? room < 16 * 1024 : sscanf(at, "--ctx %u", &advised) == 1);
        if (at == NULL)
            continue;
        in.wanted_tokens = advised;
        assert_int_equal(sto_fit_context(&in, &tokens, &err), STO_OK);
        in.wanted_tokens = advised + 1;
        assert_int_equal(sto_fit_context(&in, &tokens, &err), STO_ERR_NO_FIT);
    }
}

static void more_memory_never_gives_less(void **state)
{
    uint32_t last = 0;
    (void)state;
    for (uint64_t room = 4096 * 1024; room < (uint64_t)50000 * 1024; room += 65537) {
        const struct sto_fit_input in = {SIZES, .available_bytes = 110 * (uint64_t)MIB + room, .trained_tokens = 40960};
        uint32_t tokens = 0;
        assert_int_equal(sto_fit_context(&in, &tokens, NULL), STO_OK);
        assert_true(tokens >= last);
        last = tokens;
    }
    assert_int_equal(last, 40960);
}

/* KV of 1 MiB per sequence; other things take 10 MiB, layers 100 MiB. */
static void sequences_by_table(void **state)
{
    static const struct {
        uint64_t available_mib;
        uint32_t wanted, expected;
        const char *what;
    } counts[] = {
        {1000, 64, 64, "all that are wanted"},
        {110 + 20, 64, 20, "as many as fit beside all layers"},
        {110 + 3, 64, 56, "too few beside them: half of the memory, and layers leave"},
        {110 + 3, 3, 3, "all that are wanted, beside them"},
        {110 + 2, 3, 3, "one short: half of the memory"},
        {40, 64, 20, "less than the layers"},
        {1, 64, 1, "never none"},
        {1000, 1, 1, "one"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        const struct sto_fit_input in = {.available_bytes = counts[i].available_mib * MIB, .weight_bytes = 6 * MIB,
                                         .fixed_bytes = 4 * MIB, .kv_bytes_per_token = 1024, .granule_tokens = 128};
        const uint32_t got = sto_fit_sequences(&in, 100 * MIB, 1000, counts[i].wanted);
        if (got != counts[i].expected)
            fail_msg("%s: %u sequences, expected %u", counts[i].what, got, counts[i].expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contexts_by_table),
        cmocka_unit_test(advice_holds),
        cmocka_unit_test(more_memory_never_gives_less),
        cmocka_unit_test(sequences_by_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
