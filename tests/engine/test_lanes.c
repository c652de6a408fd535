/* Layers that are streamed from host memory: the same bits as with all of them resident, wherever they are, through
 * rings of every depth, and never more device memory than the budget says. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <cmocka.h>

#include "runtime/base/mem.h"
#include "tests/engine/answer.h"
#include "tests/engine/support.h"
#include "tests/support/synth.h"

enum { N_LAYERS = 7, N_PROMPT = 6, N_GENERATED = 12, MIB = 1 << 20 };

static const uint32_t prompt[N_PROMPT] = {3, 141, 59, 26, 5, 258};
static struct sto_test_device devices[2]; /* device memory mapped, and not */
static char path[1200];
static struct sto_model *model;
static uint32_t n_vocab;

static struct sto_answer ask(struct sto_device *device, const struct sto_engine_params *params)
{
    const struct sto_question q = {.model = model, .prompt = prompt, .n_prompt = N_PROMPT, .n_drawn = N_GENERATED};
    return sto_test_ask(&q, device, params);
}

static void expect_same(const struct sto_answer *a, const struct sto_answer *b, const char *what)
{
    const struct sto_question q = {.model = model, .prompt = prompt, .n_prompt = N_PROMPT};
    sto_test_expect_same(&q, a, b, what);
}

/* Lane of layer l in placement i. */
static enum sto_lane lane_in(uint32_t i, uint32_t l)
{
    /* all; the first; the last; every second; a run; both ends */
    static const uint32_t streamed[] = {0x7f, 0x01, 0x40, 0x2a, 0x0e, 0x63};
    return (streamed[i] >> l & 1) != 0 ? STO_LANE_STREAM : STO_LANE_RESIDENT;
}

/* Bodies in turn, so that each meets every depth of the ring; the host cannot write to the second device. */
static enum sto_copy_body body_in(int device, uint32_t placement, uint32_t ring)
{
    static const enum sto_copy_body bodies[] = {STO_COPY_TRANSFER, STO_COPY_QUEUE, STO_COPY_HOST};
    return bodies[(placement + ring) % (device == 0 ? 3 : 2)];
}

static void every_placement_ring_and_body_is_the_same(void **state)
{
    (void)state;
    const struct sto_engine_params resident = {.ctx_tokens = 64, .ubatch_tokens = 16};
    for (int d = 0; d < 2; d++) {
        struct sto_answer all = ask(devices[d].device, &resident);
        assert_int_equal(all.info.streamed_layers, 0);
        assert_int_equal(all.info.streamed_bytes, 0);
        assert_int_equal(all.info.ring_slots, 0);
        for (uint32_t i = 0; i < 6; i++) {
            enum sto_lane lanes[N_LAYERS];
            uint32_t n_streamed = 0;
            for (uint32_t l = 0; l < N_LAYERS; l++)
                n_streamed += (lanes[l] = lane_in(i, l)) == STO_LANE_STREAM;
            for (uint32_t ring = d == 0 ? 1 : 3; ring <= (d == 0 ? 4u : 3u); ring++) {
                const struct sto_engine_params p = {
                    .ctx_tokens = 64, .ubatch_tokens = 16, .lanes = lanes, .ring_slots = ring,
                    .copy = body_in(d, i, ring)};
                struct sto_answer a = ask(devices[d].device, &p);
                char what[96];
                (void)snprintf(what, sizeof what, "placement %u, ring of %u, copies by %s", (unsigned)i, (unsigned)ring,
                               sto_copy_name(p.copy));
                expect_same(&a, &all, what);
                assert_int_equal(a.info.copy, p.copy);
                assert_int_equal(a.info.streamed_layers, n_streamed);
                assert_int_equal(a.info.ring_slots, ring < n_streamed ? ring : n_streamed);
                assert_true(a.info.streamed_bytes > 0);
                sto_test_forget(&a);
            }
        }
        sto_test_forget(&all);
    }
}

/* From too little for one layer at a time to enough for all. */
static void budgets_hold(void **state)
{
    (void)state;
    const struct sto_engine_params free_choice = {.ctx_tokens = 64, .ubatch_tokens = 16};
    struct sto_answer all = ask(devices[0].device, &free_choice);
    uint32_t most = 0, least = N_LAYERS, refused = 0, before = N_LAYERS;
    const uint64_t last = all.local_bytes + 8 * (uint64_t)MIB;
    for (uint64_t budget = 4 * (uint64_t)MIB; budget <= last; budget += 3 * (uint64_t)MIB) {
        const struct sto_engine_params p = {.ctx_tokens = 64, .ubatch_tokens = 16, .vram_bytes = budget};
        struct sto_engine *engine = NULL;
        struct sto_error err = {0};
        if (sto_engine_create(devices[0].device, model, &p, NULL, &engine, &err) == STO_ERR_NO_FIT) {
            assert_non_null(strstr(err.message, "even with the weights of one layer there at a time"));
            assert_int_equal(before, N_LAYERS); /* only below what fits */
            refused++;
            continue;
        }
        assert_non_null(engine);
        sto_engine_destroy(engine);
        struct sto_answer a = ask(devices[0].device, &p);
        expect_same(&a, &all, "within a budget");
        assert_true(a.local_bytes <= budget);
        assert_true(a.info.streamed_layers <= before);
        before = a.info.streamed_layers;
        most = before > most ? before : most;
        least = before < least ? before : least;
        sto_test_forget(&a);
    }
    assert_true(refused > 0);
    assert_true(most >= 5);
    assert_int_equal(least, 0);
    sto_test_forget(&all);
}

static int set_up(void **state)
{
    (void)state;
    const struct sto_synth shape = {.arch = "qwen3", .n_vocab = 600, .n_embd = 384, .n_layers = N_LAYERS, .n_ff = 1024,
                                    .n_heads = 6, .n_kv_heads = 2, .head_dim = 64, .n_ctx = 256, .rope_base = 10000.0f,
                                    .tied = true, .type = STO_TYPE_F16, .embd_type = STO_TYPE_F16,
                                    .rich_type = STO_TYPE_F32, .seed = 17};
    model = sto_test_synth_model(&shape, "lanes", path, sizeof path);
    if (model == NULL)
        return -1;
    n_vocab = sto_model_n_vocab(model);
    sto_test_device_open(&devices[0], NULL);
    sto_test_device_open(&devices[1], &(struct sto_device_params){.no_mapping = true});
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sto_test_device_close(&devices[0]);
    sto_test_device_close(&devices[1]);
    sto_model_close(model);
    (void)remove(path);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_placement_ring_and_body_is_the_same),
        cmocka_unit_test(budgets_hold),
    };
    return cmocka_run_group_tests_name("lanes", tests, set_up, tear_down);
}
