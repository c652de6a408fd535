/* What the processor itself can do: how fast it reads memory, and how many f32 operations per second it multiplies and
 * adds. CPU drivers run kernels on the same cores, so these are the roofline that their figures stand beside.
 *
 *   build/bench/cpu [threads ...]        default: 1, and one per core
 *
 * Reads go over a buffer far larger than the caches, one part per thread; arithmetic is independent chains of fused
 * multiply-adds on registers, with 8 lanes where the processor has AVX2. The best of several passes counts: others at
 * work on the machine only ever make a pass slower. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/base/os.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define HAVE_AVX2_BODY 1
#else
#define HAVE_AVX2_BODY 0
#endif

enum { MAX_THREADS = 256, PASSES = 9, CHAINS = 12, LANES = 8, ROUNDS = 8000000 };
static const size_t BUFFER_BYTES = (size_t)1 << 30;

struct part {
    const uint64_t *data;
    size_t n;
    double flops;
    uint64_t result; /* of what was read or computed, so that it is */
};

static void read_part(void *arg)
{
    struct part *p = arg;
    uint64_t sums[16] = {0};
    for (size_t i = 0; i + 16 <= p->n; i += 16) {
        for (size_t j = 0; j < 16; j++)
            sums[j] += p->data[i + j];
    }
    p->result = 0;
    for (size_t j = 0; j < 16; j++)
        p->result += sums[j];
}

static void multiply_plain(struct part *p)
{
    float sums[CHAINS] = {0};
    const float x = 1.0f + (float)p->n * 1e-9f;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        for (int c = 0; c < CHAINS; c++)
            sums[c] = sums[c] * x + 1e-6f;
    }
    memcpy(&p->result, sums, sizeof p->result);
    p->flops = 2.0 * CHAINS * ROUNDS;
}

#if HAVE_AVX2_BODY
__attribute__((target("avx2,fma"))) static void multiply_avx2(struct part *p)
{
    __m256 sums[CHAINS];
    const __m256 x = _mm256_set1_ps(1.0f + (float)p->n * 1e-9f), y = _mm256_set1_ps(1e-6f);
    for (int c = 0; c < CHAINS; c++)
        sums[c] = _mm256_setzero_ps();
    for (uint32_t i = 0; i < ROUNDS; i++) {
#pragma GCC unroll 12
        for (int c = 0; c < CHAINS; c++)
            sums[c] = _mm256_fmadd_ps(sums[c], x, y);
    }
    for (int c = 1; c < CHAINS; c++)
        sums[0] = _mm256_add_ps(sums[0], sums[c]);
    memcpy(&p->result, &sums[0], sizeof p->result);
    p->flops = 2.0 * CHAINS * LANES * ROUNDS;
}
#endif

static void multiply(void *arg)
{
#if HAVE_AVX2_BODY
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        multiply_avx2(arg);
        return;
    }
#endif
    multiply_plain(arg);
}

/* Seconds that the fastest pass of all threads together took; negative when none could be started. */
static double fastest(void (*run)(void *), struct part *parts, uint32_t n_threads)
{
    double best = -1.0;
    for (int pass = 0; pass < PASSES; pass++) {
        struct sto_thread *threads[MAX_THREADS];
        const uint64_t begin = sto_now_ns();
        uint32_t started = 0;
        while (started < n_threads && (threads[started] = sto_thread_start(run, &parts[started])) != NULL)
            started++;
        for (uint32_t t = 0; t < started; t++)
            sto_thread_join(threads[t]);
        const double seconds = (double)(sto_now_ns() - begin) / 1e9;
        if (started < n_threads)
            return -1.0;
        if (best < 0.0 || seconds < best)
            best = seconds;
    }
    return best;
}

static int measure(const uint64_t *data, uint32_t n_threads)
{
    struct part parts[MAX_THREADS];
    const size_t n = BUFFER_BYTES / sizeof *data / n_threads;
    double flops = 0.0;
    for (uint32_t t = 0; t < n_threads; t++)
        parts[t] = (struct part){.data = data + t * n, .n = n};
    const double read = fastest(read_part, parts, n_threads), compute = fastest(multiply, parts, n_threads);
    if (read < 0.0 || compute < 0.0) {
        fprintf(stderr, "cpu: %u threads could not be started\n", (unsigned)n_threads);
        return 1;
    }
    for (uint32_t t = 0; t < n_threads; t++)
        flops += parts[t].flops;
    printf("%3u thread%s  reads %6.1f GB/s   multiplies and adds %7.1f GFLOP/s\n", (unsigned)n_threads,
           n_threads == 1 ? " " : "s", (double)n * 8.0 * n_threads / read / 1e9, flops / compute / 1e9);
    return 0;
}

int main(int argc, char **argv)
{
    uint64_t *data = sto_calloc(BUFFER_BYTES / sizeof *data, sizeof *data);
    if (data == NULL) {
        fprintf(stderr, "cpu: no memory for a buffer of 1 GiB\n");
        return 1;
    }
    memset(data, 1, BUFFER_BYTES); /* pages that were never written are all the same one */
    int status = 0;
    if (argc < 2) {
        const uint32_t cores = sto_cpu_count();
        status = measure(data, 1);
        if (cores > 1 && status == 0)
            status = measure(data, cores < MAX_THREADS ? cores : MAX_THREADS);
    }
    for (int i = 1; i < argc && status == 0; i++) {
        char *end = NULL;
        const unsigned long n = strtoul(argv[i], &end, 10);
        if (*end != '\0' || n == 0 || n > MAX_THREADS) {
            fprintf(stderr, "cpu: '%s' is no number of threads (1 to %d)\n", argv[i], MAX_THREADS);
            status = 2;
        } else {
            status = measure(data, (uint32_t)n);
        }
    }
    sto_free(data);
    return status;
}
