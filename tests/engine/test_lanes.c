/* Layers that are streamed from host memory: the same bits as with all of them resident, wherever they are, through
 * rings of every depth, and never more device memory than the budget says. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <cmocka.h>

#include "runtime/base/mem.h"
#include "runtime/base/os.h"
#include "tests/engine/support.h"
#include "tests/support/synth.h"

enum { N_LAYERS = 7, N_PROMPT = 6, N_GENERATED = 12, MIB = 1 << 20 };

static const uint32_t prompt[N_PROMPT] = {3, 141, 59, 26, 5, 258};
static struct sto_test_device devices[2]; /* device memory mapped, and not */
static char path[1200];
static struct sto_model *model;
static uint32_t n_vocab;

/* What a model says and draws: [N_PROMPT, n_vocab] logits of the prompt in one batch, those of its tokens one by one,
 * and what is drawn after it. */
struct answer {
    float *whole, *single;
    uint32_t drawn[N_GENERATED];
    struct sto_engine_info info;
    uint64_t local_bytes; /* device memory at most, beyond what was there before */
};

static void must(enum sto_status status, const struct sto_error *err)
{
    if (status != STO_OK)
        fail_msg("%s: %s", sto_status_name(status), err->message);
}

static struct answer ask(struct sto_device *device, const struct sto_engine_params *params)
{
    const struct sto_generation_params generation = {.temperature = 0.9f, .top_k = 20, .top_p = 1.0f, .seed = 11};
    struct answer a = {.whole = calloc((size_t)N_PROMPT * n_vocab, sizeof(float)),
                       .single = calloc((size_t)N_PROMPT * n_vocab, sizeof(float))};
    const uint64_t before = sto_device_local_bytes(device);
    struct sto_engine *engine = NULL;
    struct sto_session *session = NULL;
    struct sto_error err = {0};
    uint32_t n = 0;
    must(sto_engine_create(device, model, params, NULL, &engine, &err), &err);
    must(sto_session_create(engine, &session, &err), &err);
    must(sto_session_eval(session, prompt, N_PROMPT, STO_LOGITS_ALL, a.whole, &err), &err);
    sto_session_truncate(session, 0);
    for (uint32_t i = 0; i < N_PROMPT; i++)
        must(sto_session_eval(session, &prompt[i], 1, STO_LOGITS_LAST, a.single + (size_t)i * n_vocab, &err), &err);
    must(sto_session_generate(session, 7, &generation, N_GENERATED, a.drawn, &n, &err), &err);
    assert_int_equal(n, N_GENERATED);
    sto_engine_get_info(engine, &a.info);
    a.local_bytes = sto_device_local_bytes(device) - before;
    sto_session_destroy(session);
    sto_engine_destroy(engine);
    assert_int_equal(sto_device_local_bytes(device), before);
    return a;
}

static void forget(struct answer *a)
{
    free(a->whole);
    free(a->single);
}

static void expect_same(const struct answer *a, const struct answer *b, const char *what)
{
    const size_t bytes = (size_t)N_PROMPT * n_vocab * sizeof(float);
    if (memcmp(a->whole, b->whole, bytes) != 0)
        fail_msg("%s: other logits in one batch", what);
    if (memcmp(a->single, b->single, bytes) != 0)
        fail_msg("%s: other logits token by token", what);
    if (memcmp(a->drawn, b->drawn, sizeof a->drawn) != 0)
        fail_msg("%s: other tokens drawn", what);
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
        struct answer all = ask(devices[d].device, &resident);
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
                struct answer a = ask(devices[d].device, &p);
                char what[96];
                (void)snprintf(what, sizeof what, "placement %u, ring of %u, copies by %s", (unsigned)i, (unsigned)ring,
                               sto_copy_name(p.copy));
                expect_same(&a, &all, what);
                assert_int_equal(a.info.copy, p.copy);
                assert_int_equal(a.info.streamed_layers, n_streamed);
                assert_int_equal(a.info.ring_slots, ring < n_streamed ? ring : n_streamed);
                assert_true(a.info.streamed_bytes > 0);
                forget(&a);
            }
        }
        forget(&all);
    }
}

/* From too little for one layer at a time to enough for all. */
static void budgets_hold(void **state)
{
    (void)state;
    const struct sto_engine_params free_choice = {.ctx_tokens = 64, .ubatch_tokens = 16};
    struct answer all = ask(devices[0].device, &free_choice);
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
        struct answer a = ask(devices[0].device, &p);
        expect_same(&a, &all, "within a budget");
        assert_true(a.local_bytes <= budget);
        assert_true(a.info.streamed_layers <= before);
        before = a.info.streamed_layers;
        most = before > most ? before : most;
        least = before < least ? before : least;
        forget(&a);
    }
    assert_true(refused > 0);
    assert_true(most >= 5);
    assert_int_equal(least, 0);
    forget(&all);
}

static int set_up(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    const struct sto_synth shape = {.arch = "qwen3", .n_vocab = 600, .n_embd = 384, .n_layers = N_LAYERS, .n_ff = 1024,
                                    .n_heads = 6, .n_kv_heads = 2, .head_dim = 64, .n_ctx = 256, .rope_base = 10000.0f,
                                    .tied = true, .type = STO_TYPE_F16, .embd_type = STO_TYPE_F16,
                                    .rich_type = STO_TYPE_F32, .seed = 17};
    struct sto_error err = {0};
    (void)snprintf(path, sizeof path, "%s/strato-lanes-%llx.gguf", tmp != NULL ? tmp : "/tmp",
                   (unsigned long long)sto_wall_seed());
    if (sto_synth_write(&shape, path, &err) != STO_OK || sto_model_open(path, NULL, NULL, &model, &err) != STO_OK) {
        print_error("%s\n", err.message);
        return -1;
    }
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
