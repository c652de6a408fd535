/* Streamed layers beyond host memory where other things go on beside them: layers on the processor between them,
 * several sequences in one pass, a simulated clock. The same bits as from memory, within the budget; a pass that breaks
 * off in the middle leaves an engine that works. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <cmocka.h>

#include "runtime/base/os.h"
#include "runtime/base/status.h"
#include "runtime/engine.h"
#include "runtime/simulation.h"
#include "tests/engine/answer.h"
#include "tests/engine/support.h"

enum { N_LAYERS = 7, N_PROMPT = 5, N_VOCAB = 300, MIB = 1 << 20 };

static const uint32_t prompt[N_PROMPT] = {3, 141, 59, 26, 258};
static const enum sto_copy_body bodies[] = {STO_COPY_QUEUE, STO_COPY_TRANSFER, STO_COPY_HOST};
static struct sto_test_device devices[2]; /* device memory mapped, and not */
static char path[1200];
static struct sto_model *model;

/* A letter for each layer: d is resident, s streamed, c on the processor. */
static const char mixes[][N_LAYERS + 1] = {"scsdscs", "cssscss", "sscdssc"};

static void place(const char *letters, enum sto_lane *lanes)
{
    for (size_t l = 0; l < N_LAYERS; l++)
        lanes[l] = letters[l] == 'c' ? STO_LANE_CPU : letters[l] == 's' ? STO_LANE_STREAM : STO_LANE_RESIDENT;
}

static struct sto_engine_params params_for(const enum sto_lane *lanes, enum sto_copy_body body)
{
    return (struct sto_engine_params){.ctx_tokens = 64, .ubatch_tokens = 8, .lanes = lanes, .ring_slots = 2,
                                      .copy = body, .n_threads = 2};
}

static struct sto_answer ask(struct sto_device *device, const struct sto_engine_params *params)
{
    const struct sto_question q = {.model = model, .prompt = prompt, .n_prompt = N_PROMPT, .n_greedy = 5, .n_drawn = 5};
    const uint64_t before = sto_host_bytes();
    const struct sto_answer a = sto_test_ask(&q, device, params);
    assert_int_equal(sto_host_bytes(), before);
    return a;
}

static void expect_same(const struct sto_answer *a, const struct sto_answer *b, const char *what)
{
    const struct sto_question q = {.model = model, .prompt = prompt, .n_prompt = N_PROMPT};
    sto_test_expect_same(&q, a, b, what);
}

/* With all streamed layers resident instead. Host memory is then what such an engine needs beside them. */
static struct sto_answer from_device(const char *mix)
{
    enum sto_lane lanes[N_LAYERS];
    place(mix, lanes);
    for (size_t l = 0; l < N_LAYERS; l++)
        lanes[l] = lanes[l] == STO_LANE_CPU ? STO_LANE_CPU : STO_LANE_RESIDENT;
    const struct sto_engine_params p = params_for(lanes, STO_COPY_AUTO);
    return ask(devices[0].device, &p);
}

/* ---- layers on the processor ---- */

/* Three to five streamed layers of 4.6 MiB: all pinned, none, some on disk, all. */
static const struct {
    uint64_t ram, pinned; /* MiB beside what there is no doing without */
    bool disk;
} budgets[] = {{40, 40, false}, {40, 4, false}, {9, 6, true}, {5, 5, true}};

static void every_source_beside_the_processor_is_the_same(void **state)
{
    (void)state;
    for (size_t m = 0; m < sizeof mixes / sizeof *mixes; m++) {
        struct sto_answer all = from_device(mixes[m]);
        enum sto_lane lanes[N_LAYERS];
        place(mixes[m], lanes);
        for (size_t i = 0; i < sizeof budgets / sizeof *budgets; i++) {
            const size_t b = (m + i) % 3;
            struct sto_engine_params p = params_for(lanes, bodies[b]);
            p.ram_bytes = all.info.host_bytes + budgets[i].ram * MIB;
            p.pinned_bytes = all.info.pinned_bytes + budgets[i].pinned * MIB;
            const bool without_threads = (m + i) % 2 == 0, unmapped = p.copy != STO_COPY_HOST && i % 2 == 0;
            char what[96];
            (void)snprintf(what, sizeof what, "%s, copies by %s, budget %zu%s", mixes[m], sto_copy_name(p.copy), i,
                           without_threads ? ", no threads" : "");
            sto_thread_refuse(without_threads);
            struct sto_answer a = ask(devices[unmapped].device, &p);
            sto_thread_refuse(false);
            expect_same(&a, &all, what);
            if ((a.info.disk_bytes > 0) != budgets[i].disk)
                fail_msg("%s: %llu bytes on disk", what, (unsigned long long)a.info.disk_bytes);
            assert_int_equal(a.info.cpu_bytes, all.info.cpu_bytes);
            assert_true(a.info.host_bytes <= p.ram_bytes && a.info.pinned_bytes <= p.pinned_bytes);
            sto_test_forget(&a);
        }
        sto_test_forget(&all);
    }
}

/* What is counted is what was said, and the budget of both is kept; without a device too. */
static void host_memory_of_the_processor_is_counted(void **state)
{
    enum sto_lane lanes[N_LAYERS];
    (void)state;
    place(mixes[0], lanes);
    for (int alone = 0; alone < 2; alone++) {
        struct sto_device *device = alone ? NULL : devices[0].device;
        struct sto_engine_params p = params_for(alone ? NULL : lanes, STO_COPY_AUTO);
        struct sto_engine *engine = NULL;
        struct sto_session *session = NULL;
        struct sto_engine_info info;
        struct sto_error err = {0};
        const uint64_t before = sto_host_bytes();
        sto_test_must(sto_engine_create(device, model, &p, NULL, &engine, &err), &err);
        sto_test_must(sto_session_create(engine, &session, &err), &err);
        sto_engine_get_info(engine, &info);
        const uint64_t held = sto_host_bytes() - before;
        assert_in_range(held, info.cpu_bytes, info.host_bytes);
        sto_session_destroy(session);
        sto_engine_destroy(engine);
        assert_int_equal(sto_host_bytes(), before);
        p.ram_bytes = info.cpu_bytes - 1;
        assert_int_equal(sto_engine_create(device, model, &p, NULL, &engine, &err), STO_ERR_NO_FIT);
        assert_non_null(strstr(err.message, "in main memory"));
        assert_int_equal(sto_host_bytes(), before);
    }
}

/* ---- a pass that breaks off ---- */

static struct sto_model_vtable failing;
static const struct sto_model_vtable *real;
static bool bad;
static uint32_t bad_layer;

static enum sto_status read_or_fail(const struct sto_model *m, const struct sto_model_weight *w, uint64_t offset,
                                    void *dst, size_t size, struct sto_error *err)
{
    if (bad && w->layer == bad_layer && w->rows > 1)
        return sto_fail(err, STO_ERR_FAILED, "%s: tensor '%s': cannot read", m->path, w->name);
    return real->read_weight(m, w, offset, dst, size, err);
}

/* The first of three recordings of a pass fails, so that the others are not handed over; and the last one. */
static void a_pass_that_breaks_off_leaves_an_engine_that_works(void **state)
{
    enum sto_lane lanes[N_LAYERS];
    (void)state;
    place(mixes[0], lanes);
    struct sto_answer all = from_device(mixes[0]);
    real = model->vtable;
    failing = *real;
    failing.read_weight = read_or_fail;
    for (int i = 0; i < 12; i++) {
        struct sto_engine_params p = params_for(lanes, bodies[i % 3]);
        struct sto_engine *engine = NULL;
        struct sto_session *session = NULL;
        struct sto_error err = {0};
        float logits[N_PROMPT * N_VOCAB];
        p.ram_bytes = all.info.host_bytes + 5 * MIB;
        p.pinned_bytes = all.info.pinned_bytes + 5 * MIB;
        bad_layer = i / 3 % 2 == 0 ? 0 : 6;
        model->vtable = &failing;
        sto_thread_refuse(i >= 6);
        sto_test_must(sto_engine_create(devices[i % 2 == 0 || i % 3 == 2 ? 0 : 1].device, model, &p, NULL, &engine,
                                        &err), &err);
        sto_test_must(sto_session_create(engine, &session, &err), &err);
        for (int round = 0; round < 3; round++) {
            enum sto_status status = STO_OK;
            bad = true;
            for (int again = 0; again < 3 && status == STO_OK; again++) { /* some may have been read ahead */
                status = sto_session_eval(session, prompt, N_PROMPT, STO_LOGITS_ALL, logits, &err);
                sto_session_truncate(session, 0);
            }
            assert_int_equal(status, STO_ERR_FAILED);
            assert_non_null(strstr(err.message, bad_layer == 0 ? "tensor 'blk.0." : "tensor 'blk.6."));
            bad = false;
            status = STO_ERR_FAILED;
            for (int again = 0; again < 3 && status != STO_OK; again++) { /* what was read ahead while it failed */
                status = sto_session_eval(session, prompt, N_PROMPT, STO_LOGITS_ALL, logits, &err);
                assert_true(status == STO_OK || status == STO_ERR_FAILED);
            }
            sto_test_must(status, &err);
            assert_memory_equal(logits, all.whole, sizeof logits);
            sto_session_truncate(session, 0);
        }
        sto_thread_refuse(false);
        sto_session_destroy(session);
        sto_engine_destroy(engine);
        model->vtable = real;
    }
    sto_test_forget(&all);
}

/* ---- several sequences ---- */

static void generate_together(struct sto_device *device, const struct sto_engine_params *params, uint32_t *tokens)
{
    enum { N = 3, STEPS = 4 };
    struct sto_engine *engine = NULL;
    struct sto_session *sessions[N] = {NULL};
    struct sto_error err = {0};
    sto_test_must(sto_engine_create(device, model, params, NULL, &engine, &err), &err);
    for (uint32_t s = 0; s < N; s++) {
        sto_test_must(sto_session_create(engine, &sessions[s], &err), &err);
        tokens[s] = prompt[s];
    }
    for (uint32_t step = 1; step <= STEPS; step++) {
        struct sto_eval_item items[N] = {{0}};
        for (uint32_t s = 0; s < N; s++)
            items[s] = (struct sto_eval_item){.session = sessions[s], .tokens = &tokens[(step - 1) * N + s],
                                              .n_tokens = 1, .want_logits = true};
        sto_test_must(sto_engine_eval(engine, items, N, &err), &err);
        for (uint32_t s = 0; s < N; s++) {
            uint32_t best = 0;
            for (uint32_t t = 1; t < N_VOCAB; t++)
                best = items[s].logits[t] > items[s].logits[best] ? t : best;
            tokens[step * N + s] = best;
        }
    }
    for (uint32_t s = 0; s < N; s++)
        sto_session_destroy(sessions[s]);
    sto_engine_destroy(engine);
}

static void several_sequences_from_disk_are_the_same(void **state)
{
    (void)state;
    for (size_t m = 0; m < 2; m++) {
        enum sto_lane lanes[N_LAYERS];
        uint32_t expected[15], got[15];
        struct sto_answer all = from_device(mixes[m]);
        place(mixes[m], lanes);
        struct sto_engine_params p = params_for(lanes, bodies[m]);
        p.n_sequences = 3;
        generate_together(devices[0].device, &p, expected);
        p.ram_bytes = all.info.host_bytes + 7 * MIB;
        p.pinned_bytes = all.info.pinned_bytes + 4 * MIB;
        generate_together(devices[0].device, &p, got);
        assert_memory_equal(got, expected, sizeof expected);
        sto_test_forget(&all);
    }
}

/* ---- a simulated card ---- */

/* Streamed through staging, or from disk, which take no time there: as long as copies take, and never out of order. */
static void a_simulated_card_stages(void **state)
{
    static const enum sto_lane streamed[N_LAYERS] = {STO_LANE_STREAM, STO_LANE_STREAM, STO_LANE_STREAM, STO_LANE_STREAM,
                                                     STO_LANE_STREAM, STO_LANE_STREAM, STO_LANE_STREAM};
    enum sto_lane lanes[N_LAYERS];
    struct sto_simulation figures = {.vram_gb_per_s = 1e6, .link_gb_per_s = 0.1};
    (void)state;
    for (size_t i = 0; i < 8; i++) {
        const bool mixed = i >= 4;
        place(mixed ? mixes[0] : "sssssss", lanes);
        struct sto_answer all = from_device(mixed ? mixes[0] : "ddddddd");
        struct sto_test_device card;
        sto_test_device_open(&card, &(struct sto_device_params){.simulation = &figures});
        struct sto_engine_params p = params_for(mixed ? lanes : streamed, i % 2 == 0 ? STO_COPY_AUTO : STO_COPY_QUEUE);
        p.ram_bytes = all.info.host_bytes + (uint64_t)(i % 4 < 2 ? 48 : 6) * MIB;
        p.pinned_bytes = all.info.pinned_bytes + 4 * MIB;
        const uint64_t begin = sto_device_now_ns(card.device);
        struct sto_answer a = ask(card.device, &p);
        const double took_s = (double)(sto_device_now_ns(card.device) - begin) * 1e-9;
        expect_same(&a, &all, "simulated");
        assert_int_equal(a.info.disk_bytes > 0, i % 4 >= 2);
        /* 1 pass for the prompt, 5 for its tokens one by one, 10 for those drawn; loading comes before */
        const double copies_s = (1 + N_PROMPT + 10) * (double)a.info.streamed_bytes / 0.1e9;
        assert_true(took_s > copies_s && took_s < copies_s + 3 * (double)a.info.weight_bytes / 0.1e9);
        sto_test_device_close(&card);
        sto_test_forget(&a);
        sto_test_forget(&all);
    }
}

/* ---- all of it ---- */

static int set_up(void **state)
{
    (void)state;
    const struct sto_synth shape = {.arch = "qwen3", .n_vocab = N_VOCAB, .n_embd = 512, .n_layers = N_LAYERS,
                                    .n_ff = 1152, .n_heads = 8, .n_kv_heads = 2, .head_dim = 64, .n_ctx = 64,
                                    .rope_base = 10000.0f, .tied = true, .type = STO_TYPE_F16,
                                    .embd_type = STO_TYPE_F16, .rich_type = STO_TYPE_F32, .seed = 29};
    if ((model = sto_test_synth_model(&shape, "disk-lanes", path, sizeof path)) == NULL)
        return -1;
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
        cmocka_unit_test(every_source_beside_the_processor_is_the_same),
        cmocka_unit_test(host_memory_of_the_processor_is_counted),
        cmocka_unit_test(a_pass_that_breaks_off_leaves_an_engine_that_works),
        cmocka_unit_test(several_sequences_from_disk_are_the_same),
        cmocka_unit_test(a_simulated_card_stages),
    };
    return cmocka_run_group_tests_name("disk_lanes", tests, set_up, tear_down);
}
