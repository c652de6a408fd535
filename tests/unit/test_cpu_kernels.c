/* The cpu lane's kernels against double precision: every weight format on every level that this processor has, on odd
 * shapes; a column alone and among others, to the bit; and the pool of threads. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <math.h>
#include <setjmp.h>
#include <cmocka.h>

#include "runtime/cpu/kernels.h"
#include "runtime/cpu/pool.h"
#include "runtime/formats/formats.h"
#include "runtime/random_fill.h"
#include "tests/reference/ref_compare.h"
#include "tests/reference/ref_formats.h"
#include "tests/reference/ref_ops.h"

enum { MAX_IN = 2560, MAX_ROWS = 37, MAX_COLS = 9, Y_STRIDE = MAX_ROWS + 3 };

static uint64_t random_state = 88172645463325252u;

static float random_float(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (float)((double)(random_state >> 11) * 0x1p-52 - 1.0);
}

/* ---- products ---- */

struct shape {
    uint32_t n_in, n_rows, n_cols;
};

static const struct shape shapes[] = {{32, 1, 1},    {96, 5, 1},    {256, 17, 3},  {288, 16, 4},
                                      {1024, 37, 9}, {2080, 19, 5}, {2304, 33, 1}, {2560, 18, 8}};

struct product {
    struct shape shape;
    enum sto_type type;
    uint8_t *w;        /* ends with the memory that belongs to it, so that a sanitizer sees a read beyond */
    double *w_exact;   /* [n_rows, n_in] */
    float *x;          /* [n_cols, n_in] */
    struct sto_cpu_q8 *xq;
    uint32_t panels;
    float bias[MAX_ROWS], y[MAX_COLS * Y_STRIDE], before[MAX_COLS * Y_STRIDE];
    void *room;
};

static void *aligned(size_t bytes)
{
    void *p = aligned_alloc(64, (bytes + 63) / 64 * 64);
    assert_non_null(p);
    return p;
}

static void open_product(struct product *p, enum sto_type type, struct shape shape)
{
    const size_t n = (size_t)shape.n_rows * shape.n_in;
    const struct sto_random_block block = sto_random_block_make(type, 0.4f);
    p->shape = shape;
    p->type = type;
    p->panels = (shape.n_in + STO_CPU_PANEL - 1) / STO_CPU_PANEL;
    p->w = malloc((size_t)sto_type_bytes(type, n));
    p->w_exact = malloc(n * sizeof *p->w_exact);
    p->x = malloc((size_t)shape.n_cols * shape.n_in * sizeof *p->x);
    p->xq = aligned((size_t)shape.n_cols * p->panels * sizeof *p->xq);
    p->room = aligned(STO_CPU_ROOM_BYTES);
    assert_true(p->w != NULL && p->w_exact != NULL && p->x != NULL);
    sto_random_bytes(&block, 7 + (uint64_t)type, 0, p->w, (size_t)sto_type_bytes(type, n));
    sto_ref_decode(type, p->w, p->w_exact, n);
    for (size_t i = 0; i < (size_t)shape.n_cols * shape.n_in; i++)
        p->x[i] = 3.0f * random_float() * random_float();
    for (int r = 0; r < MAX_ROWS; r++)
        p->bias[r] = random_float();
    for (int i = 0; i < MAX_COLS * Y_STRIDE; i++)
        p->before[i] = p->y[i] = random_float();
    memset(p->xq, 0xff, (size_t)shape.n_cols * p->panels * sizeof *p->xq); /* NaN until written */
}

static void close_product(struct product *p)
{
    free(p->w);
    free(p->w_exact);
    free(p->x);
    free(p->xq);
    free(p->room);
}

static struct sto_cpu_product call_of(struct product *p, bool q8, bool more)
{
    return (struct sto_cpu_product){
        .w = p->w,
        .row_bytes = sto_type_bytes(p->type, p->shape.n_in),
        .n_in = p->shape.n_in,
        .n_rows = p->shape.n_rows,
        .n_cols = p->shape.n_cols,
        .x = q8 ? (const void *)p->xq : p->x,
        .x_stride = q8 ? p->panels : p->shape.n_in,
        .y = p->y,
        .y_stride = Y_STRIDE,
        .bias = more ? p->bias : NULL,
        .accumulate = more,
        .room = p->room,
    };
}

/* What a product should give: x as it is, or as it is in 8 bits. */
static double expected(const struct product *p, bool q8, bool more, uint32_t c, uint32_t r, double *size)
{
    double sum = more ? (double)p->bias[r] + (double)p->before[c * Y_STRIDE + r] : 0.0;
    *size = fabs(sum);
    for (uint32_t k = 0; k < p->shape.n_in; k++) {
        const struct sto_cpu_q8 *panel = &p->xq[c * p->panels + k / STO_CPU_PANEL];
        const uint32_t i = k % STO_CPU_PANEL;
        const double x = q8 ? (double)panel->d[i / 16] * panel->q[i] : (double)p->x[c * p->shape.n_in + k];
        const double term = p->w_exact[(size_t)r * p->shape.n_in + k] * x;
        sum += term;
        *size += fabs(term);
    }
    return sum;
}

static void check_values(const struct product *p, const char *level, bool q8, bool more)
{
    for (uint32_t c = 0; c < MAX_COLS; c++) {
        for (uint32_t r = 0; r < Y_STRIDE; r++) {
            const float got = p->y[c * Y_STRIDE + r];
            double size = 0.0;
            if (c >= p->shape.n_cols || r >= p->shape.n_rows) {
                if (memcmp(&got, &p->before[c * Y_STRIDE + r], sizeof got) != 0)
                    fail_msg("%s %s: wrote beside y at column %u, row %u", level, sto_type_name(p->type), c, r);
                continue;
            }
            const double want = expected(p, q8, more, c, r, &size);
            /* f32 sums; an offset of the integers is added and taken away again in f32 too */
            if (!(fabs((double)got - want) <= 1e-5 * size + 1e-30))
                fail_msg("%s %s %s, %u x %u x %u: y[%u, %u] is %g, expected %g", level, sto_type_name(p->type),
                         q8 ? "in 8 bits" : "in floats", p->shape.n_in, p->shape.n_rows, p->shape.n_cols, c, r,
                         (double)got, want);
        }
    }
}

/* Each column by itself has the bits that it has among the others. */
static void check_alone(struct product *p, const struct sto_cpu_product *together,
                        void (*run)(const struct sto_cpu_product *), const char *level)
{
    for (uint32_t c = 0; c < p->shape.n_cols; c++) {
        const bool q8 = together->x == p->xq;
        float y[MAX_ROWS];
        struct sto_cpu_product one = *together;
        one.n_cols = 1;
        one.x = q8 ? (const void *)(p->xq + c * p->panels) : p->x + (size_t)c * p->shape.n_in;
        one.y = y;
        memcpy(y, p->before + c * Y_STRIDE, sizeof y);
        run(&one);
        if (memcmp(y, p->y + c * Y_STRIDE, p->shape.n_rows * sizeof *y) != 0)
            fail_msg("%s %s: column %u alone has other bits", level, sto_type_name(p->type), c);
    }
}

static void check_product(const struct sto_cpu_kernels *kernels, enum sto_type type, struct shape shape, bool q8)
{
    void (*run)(const struct sto_cpu_product *) = q8 ? kernels->product_q8[type] : kernels->product_f32[type];
    for (int more = 0; more < 2; more++) {
        struct product p;
        open_product(&p, type, shape);
        for (uint32_t c = 0; q8 && c < shape.n_cols; c++)
            kernels->quantize(p.xq + c * p.panels, p.x + (size_t)c * shape.n_in, shape.n_in);
        const struct sto_cpu_product call = call_of(&p, q8, more != 0);
        run(&call);
        check_values(&p, kernels->name, q8, more != 0);
        check_alone(&p, &call, run, kernels->name);
        close_product(&p);
    }
}

static void products_are_right(void **state)
{
    const struct sto_cpu_kernels *kernels = *state;
    for (int t = 0; t < STO_TYPE_COUNT; t++) {
        const enum sto_type type = (enum sto_type)t;
        const bool plain = type == STO_TYPE_F32 || type == STO_TYPE_F16 || type == STO_TYPE_BF16;
        assert_non_null(kernels->product_f32[t]);
        assert_true((kernels->product_q8[t] == NULL) == plain);
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
            if (shapes[s].n_in % sto_type_get(type)->block_elems != 0)
                continue;
            check_product(kernels, type, shapes[s], false);
            if (!plain)
                check_product(kernels, type, shapes[s], true);
        }
    }
    check_product(kernels, STO_TYPE_F16, (struct shape){100, 7, 6}, false); /* no multiple of any vector */
}

/* ---- activations ---- */

static void activations_in_8_bits(void **state)
{
    const struct sto_cpu_kernels *kernels = *state;
    enum { N = 352 };
    struct sto_cpu_q8 *xq = aligned(2 * sizeof *xq);
    float x[N];
    double exact[N], d[N / 32];
    int8_t q[N];
    for (uint32_t i = 0; i < N; i++)
        exact[i] = x[i] = i / 32 == 2 ? 0.0f : 40.0f * random_float();
    sto_ref_quantize_q8(q, d, exact, N);
    memset(xq, 0xff, 2 * sizeof *xq);
    kernels->quantize(xq, x, N);
    for (uint32_t i = 0; i < 2 * STO_CPU_PANEL; i++) {
        const struct sto_cpu_q8 *p = &xq[i / STO_CPU_PANEL];
        const uint32_t at = i % STO_CPU_PANEL;
        const double scale = i < N ? d[i / 32] : 0.0;
        int sum = 0;
        for (uint32_t k = at / 16 * 16; k < at / 16 * 16 + 16; k++)
            sum += p->q[k];
        assert_true(fabs((double)p->d[at / 16] - scale) <= 1e-6 * scale);
        assert_true(fabs((double)p->sum[at / 16] - scale * sum) <= 1e-5 * fabs(scale * sum));
        assert_in_range(abs(p->q[at] - (i < N ? q[i] : 0)), 0, 1); /* a tie may fall either way */
        assert_true(fabs((double)p->d[at / 16] * p->q[at] - (i < N ? exact[i] : 0.0)) <= 0.501 * scale);
    }
    free(xq);
}

static void norm_is_right(void **state)
{
    const struct sto_cpu_kernels *kernels = *state;
    enum { N = 203 };
    float x[N], g[N], y[N];
    double exact[N], weights[N], want[N];
    for (uint32_t i = 0; i < N; i++) {
        exact[i] = x[i] = random_float();
        weights[i] = g[i] = 1.0f + random_float();
    }
    for (int with = 0; with < 2; with++) {
        sto_ref_rmsnorm(want, exact, with != 0 ? weights : NULL, 1, N, 1e-5);
        kernels->norm(y, x, with != 0 ? g : NULL, N, 1e-5f);
        assert_true(sto_ref_rel_error(want, y, N) < 1e-6);
    }
    kernels->norm(x, x, g, N, 1e-5f); /* in place */
    assert_memory_equal(x, y, sizeof y);
}

/* ---- attention ---- */

/* 71 keys in blocks, queries that see ever more of them. */
static void attention_is_right(void **state)
{
    const struct sto_cpu_kernels *kernels = *state;
    enum { D = 80, N_KEYS = 71, N_Q = 5 };
    static float q[N_Q * D], k[N_KEYS * D], v[N_KEYS * D], o[N_Q * D];
    static double q_exact[N_Q * D], k_exact[N_KEYS * D], v_exact[N_KEYS * D], want[N_Q * D], scores[N_KEYS];
    float max[N_Q], sum[N_Q];
    const struct sto_ref_attention ref = {.q = q_exact, .k = k_exact, .v = v_exact, .n_q = N_Q, .n_kv = N_KEYS,
                                          .n_heads = 1, .n_kv_heads = 1, .head_dim = D, .scale = 1.0};
    for (int i = 0; i < N_Q * D; i++)
        q_exact[i] = q[i] = random_float();
    for (int i = 0; i < N_KEYS * D; i++) {
        k_exact[i] = k[i] = 2.0f * random_float();
        v_exact[i] = v[i] = random_float();
    }
    sto_ref_attention(want, scores, &ref);
    memset(o, 0, sizeof o);
    for (int r = 0; r < N_Q; r++) {
        max[r] = -INFINITY;
        sum[r] = 0.0f;
    }
    for (uint32_t first = 0; first < N_KEYS; first += STO_CPU_KEYS) {
        const uint32_t n = N_KEYS - first < STO_CPU_KEYS ? N_KEYS - first : STO_CPU_KEYS;
        uint32_t n_seen[N_Q];
        for (uint32_t r = 0; r < N_Q; r++) {
            const uint32_t all = N_KEYS - N_Q + r + 1;
            n_seen[r] = all <= first ? 0 : all - first < n ? all - first : n;
        }
        kernels->attention(&(struct sto_cpu_attention){.q = q, .k = k + first * D, .v = v + first * D, .o = o,
                                                       .max = max, .sum = sum, .n_seen = n_seen, .n_rows = N_Q,
                                                       .n_keys = n, .head_dim = D});
    }
    for (int i = 0; i < N_Q * D; i++)
        o[i] /= sum[i / D];
    assert_true(sto_ref_rel_error(want, o, N_Q * D) < 1e-5);
}

static void caches_are_read(void **state)
{
    static const enum sto_type types[] = {STO_TYPE_F32, STO_TYPE_F16, STO_TYPE_Q8_0, STO_TYPE_IQ4_NL};
    const struct sto_cpu_kernels *kernels = *state;
    enum { N = 352 };
    float x[N], got[N];
    double want[N];
    uint8_t bytes[N * sizeof(float)];
    for (int i = 0; i < N; i++)
        x[i] = random_float();
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        sto_encode(types[t], x, bytes, N);
        sto_ref_decode(types[t], bytes, want, N);
        kernels->decode(types[t], got, bytes, N);
        assert_true(sto_ref_rel_error(want, got, N) < 1e-6);
    }
}

/* ---- threads ---- */

enum { N_PIECES = 1000 };
struct counted {
    uint32_t times[N_PIECES];
    uint32_t wrong_thread, n_threads;
};

static void count_piece(void *job, uint32_t piece, uint32_t thread)
{
    struct counted *c = job;
    c->times[piece]++;
    c->wrong_thread += thread >= c->n_threads; /* never, so no two threads write it */
}

static void every_piece_once(void **state)
{
    (void)state;
    for (uint32_t n_threads = 1; n_threads <= 5; n_threads += 2) {
        struct sto_pool *pool = sto_pool_create(n_threads);
        assert_non_null(pool);
        static struct counted c;
        for (uint32_t round = 0; round < 300; round++) {
            const uint32_t n = round % 7 == 0 ? N_PIECES : round % 5;
            memset(&c, 0, sizeof c);
            c.n_threads = sto_pool_n_threads(pool);
            sto_pool_run(pool, count_piece, &c, n);
            for (uint32_t i = 0; i < N_PIECES; i++)
                assert_int_equal(c.times[i], i < n ? 1 : 0);
            assert_int_equal(c.wrong_thread, 0);
        }
        sto_pool_destroy(pool);
    }
    sto_pool_destroy(NULL);
}

int main(void)
{
    enum { PER_LEVEL = 5 };
    static struct CMUnitTest tests[PER_LEVEL * STO_CPU_LEVEL_COUNT + 1];
    static char names[PER_LEVEL * STO_CPU_LEVEL_COUNT][64];
    static const struct {
        const char *name;
        CMUnitTestFunction run;
    } kinds[PER_LEVEL] = {{"products_are_right", products_are_right},
                          {"activations_in_8_bits", activations_in_8_bits},
                          {"norm_is_right", norm_is_right},
                          {"attention_is_right", attention_is_right},
                          {"caches_are_read", caches_are_read}};
    size_t n = 0;
    for (int l = 0; l < STO_CPU_LEVEL_COUNT; l++) {
        const struct sto_cpu_kernels *kernels = sto_cpu_kernels_of((enum sto_cpu_level)l);
        for (int k = 0; kernels != NULL && k < PER_LEVEL; k++, n++) {
            (void)snprintf(names[n], sizeof names[n], "%s %s", kernels->name, kinds[k].name);
            tests[n] = (struct CMUnitTest){
                .name = names[n], .test_func = kinds[k].run, .initial_state = (void *)kernels};
        }
    }
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(every_piece_once);
    return _cmocka_run_group_tests("cpu_kernels", tests, n, NULL, NULL);
}
