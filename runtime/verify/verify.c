/* Runs the cases of every kernel, and gives them their data.
 *
 *   image  what the pool holds before a run: data of inputs, poison everywhere else
 *   got    what it holds after; a comparison puts the image's bytes back where it has looked
 *
 * So when a case ends, image and got are equal but for scratch, or somebody wrote where nothing was expected. */
#include "runtime/verify/verify.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/hash.h"
#include "runtime/base/mem.h"

enum { BAND_BYTES = 4096, GROUPS_BYTES = 256, MAX_RANGES = 32 };
static const uint32_t POISON = 0x7fff7fff; /* NaN as f32; each half is NaN as f16 and as bf16 */

enum range_kind { RANGE_INPUT, RANGE_OUTPUT, RANGE_SCRATCH };

struct range {
    const char *name;
    uint64_t offset, bytes;
    enum range_kind kind;
};

struct sto_verifier {
    struct sto_device *device;
    struct sto_recording *recording;
    struct sto_uploader *uploader;
    struct sto_buffer pool;
    uint8_t *image, *got, *host;
    uint64_t pool_bytes;
    uint64_t used, uploaded; /* bytes of the pool: in this case, and of those already on the device */
    size_t host_used;
    struct sto_device_plan plan;
    struct sto_ops ops;
    struct range ranges[MAX_RANGES];
    uint32_t n_ranges;
    uint32_t workgroup;              /* 0: the plan's */
    const struct sto_tuning *tuning; /* [STO_KERNEL_COUNT]; NULL: the plan's */
    uint64_t random;
    bool failed;
    char name[128];
    struct sto_verify_result *result;
    enum sto_status status; /* of the device: ends everything */
    struct sto_error err;
};

static const struct sto_verify_source *const lists[] = {sto_verify_basic, sto_verify_memory, sto_verify_rope_kv,
                                                     sto_verify_attention, sto_verify_sample, sto_verify_mat};

/* first: a list that goes before the others, or NULL. */
static const struct sto_verify_source *find_source(const struct sto_verify_source *first, const char *source)
{
    for (const struct sto_verify_source *s = first; s != NULL && s->source != NULL; s++)
        if (strcmp(s->source, source) == 0)
            return s;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        for (const struct sto_verify_source *s = lists[i]; s->source != NULL; s++)
            if (strcmp(s->source, source) == 0)
                return s;
    return NULL;
}

bool sto_verify_covers(enum sto_kernel kernel)
{
    return find_source(NULL, sto_kernel_get(kernel)->source) != NULL;
}

/* ---- failing ---- */

void sto_verify_fail(struct sto_verifier *v, const char *format, ...)
{
    if (v->failed)
        return;
    v->failed = true;
    if (v->result->failure[0] != '\0')
        return;
    va_list args;
    va_start(args, format);
    const int n = snprintf(v->result->failure, sizeof v->result->failure, "%s: ", v->name);
    if (n > 0 && (size_t)n < sizeof v->result->failure)
        (void)vsnprintf(v->result->failure + n, sizeof v->result->failure - (size_t)n, format, args);
    va_end(args);
}

/* The device failed: the case does, and no other is begun. */
static void device_failed(struct sto_verifier *v, enum sto_status status)
{
    v->status = status;
    sto_verify_fail(v, "%s", v->err.message);
}

bool sto_verify_ok(const struct sto_verifier *v)
{
    return !v->failed;
}

/* ---- data ---- */

static void fill(uint8_t *p, uint64_t bytes, uint32_t pattern)
{
    for (uint64_t i = 0; i + 4 <= bytes; i += 4)
        memcpy(p + i, &pattern, 4);
}

/* The poison around range i: another for each, or a kernel that copies beyond both its ends would put poison over equal
 * poison. */
static uint32_t band_poison(uint32_t i)
{
    return (0x7fc0u + i) * 0x10001u;
}

static void reset_plan(struct sto_verifier *v)
{
    v->plan = *sto_device_get_plan(v->device);
    if (v->tuning != NULL)
        memcpy(v->plan.tuning, v->tuning, STO_KERNEL_COUNT * sizeof *v->tuning);
    for (int k = 0; v->workgroup != 0 && k < STO_KERNEL_COUNT; k++)
        v->plan.tuning[k].values[0] = v->workgroup;
}

void sto_verify_begin(struct sto_verifier *v, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(v->name, sizeof v->name, format, args);
    va_end(args);

    memset(v->host, 0, v->host_used);
    v->host_used = 0;
    v->n_ranges = 0;
    v->uploaded = 0;
    v->used = GROUPS_BYTES;
    fill(v->image, v->used, POISON);
    v->failed = v->status != STO_OK;

    v->random = sto_hash_bytes(STO_HASH_BASIS, v->name, strlen(v->name));

    reset_plan(v);
    v->ops = (struct sto_ops){.rec = v->recording, .plan = &v->plan, .math = STO_MATH_EXACT};
    if (!v->failed)
        sto_recording_begin(v->recording);
}

void *sto_verify_alloc(struct sto_verifier *v, size_t n, size_t size)
{
    const size_t at = v->host_used;
    assert(size == 0 || n <= (STO_VERIFY_HOST_BYTES - at - 16) / size);
    v->host_used = (at + n * size + 15) & ~(size_t)15;
    return v->host + at;
}

uint32_t sto_verify_random(struct sto_verifier *v)
{
    return (uint32_t)(sto_hash_mix(v->random += STO_HASH_STEP) >> 32);
}

float sto_verify_uniform(struct sto_verifier *v, float low, float high)
{
    return low + (high - low) * ((float)(sto_verify_random(v) >> 8) * 0x1p-24f);
}

float *sto_verify_floats(struct sto_verifier *v, size_t n, float scale)
{
    float *x = sto_verify_alloc(v, n, sizeof *x);
    for (size_t i = 0; i < n; i++)
        x[i] = sto_verify_uniform(v, -scale, scale);
    return x;
}

/* ---- ranges ---- */

static struct sto_verify_range add_range(struct sto_verifier *v, const char *name, enum range_kind kind, uint64_t bytes)
{
    const uint64_t offset = ((v->used + 255) & ~(uint64_t)255) + BAND_BYTES;
    const uint64_t end = ((offset + bytes + 3) & ~(uint64_t)3) + BAND_BYTES;

    if (v->n_ranges == MAX_RANGES || end > v->pool_bytes || bytes > v->pool_bytes) {
        sto_verify_fail(v, "'%s' does not fit in the pool: the case is too large", name);
        return (struct sto_verify_range){.address = v->pool.address, .bytes = 0};
    }
    fill(v->image + v->used, end - v->used, band_poison(v->n_ranges));
    fill(v->image + offset, (bytes + 3) & ~(uint64_t)3, POISON);
    v->used = end;
    v->ranges[v->n_ranges++] = (struct range){.name = name, .offset = offset, .bytes = bytes, .kind = kind};
    return (struct sto_verify_range){.address = v->pool.address + offset, .bytes = bytes, .offset = offset};
}

void sto_verify_put(struct sto_verifier *v, struct sto_verify_range range, uint64_t offset, const void *data,
                    uint64_t bytes)
{
    if (v->failed)
        return;
    if (offset > range.bytes || bytes > range.bytes - offset) {
        sto_verify_fail(v, "%llu bytes were put outside their range", (unsigned long long)bytes);
        return;
    }
    memcpy(v->image + range.offset + offset, data, bytes);
    if (range.offset < v->uploaded) {
        const enum sto_status status =
            sto_upload(v->uploader, &v->pool, range.offset + offset, data, bytes, &v->err);
        if (status != STO_OK)
            device_failed(v, status);
    }
}

struct sto_verify_range sto_verify_input(struct sto_verifier *v, const char *name, const void *data, uint64_t bytes)
{
    const struct sto_verify_range range = add_range(v, name, RANGE_INPUT, bytes);
    sto_verify_put(v, range, 0, data, range.bytes);
    return range;
}

struct sto_verify_range sto_verify_inout(struct sto_verifier *v, const char *name, const void *data, uint64_t bytes)
{
    const struct sto_verify_range range = add_range(v, name, RANGE_OUTPUT, bytes);
    sto_verify_put(v, range, 0, data, range.bytes);
    return range;
}

struct sto_verify_range sto_verify_output(struct sto_verifier *v, const char *name, uint64_t bytes)
{
    return add_range(v, name, RANGE_OUTPUT, bytes);
}

struct sto_verify_range sto_verify_hole(struct sto_verifier *v, const char *name, uint64_t bytes)
{
    return add_range(v, name, RANGE_INPUT, bytes);
}

struct sto_verify_range sto_verify_scratch(struct sto_verifier *v, const char *name, uint64_t bytes)
{
    return add_range(v, name, RANGE_SCRATCH, bytes);
}

struct sto_verify_range sto_verify_groups(struct sto_verifier *v, const struct sto_buffer **buffer)
{
    *buffer = &v->pool;
    if (v->n_ranges < MAX_RANGES)
        v->ranges[v->n_ranges++] = (struct range){.name = "groups", .offset = 0, .bytes = 12, .kind = RANGE_OUTPUT};
    return (struct sto_verify_range){.address = v->pool.address, .bytes = 12, .offset = 0};
}

void sto_verify_counters(struct sto_verifier *v, uint32_t n)
{
    const uint32_t *zeros = sto_verify_alloc(v, n, sizeof *zeros);
    v->ops.counters = sto_verify_input(v, "counters", zeros, n * sizeof *zeros).address;
}

struct sto_tensor sto_verify_tensor(struct sto_verify_range range, uint32_t rows, uint32_t cols, uint32_t stride)
{
    return (struct sto_tensor){.address = range.address, .rows = rows, .cols = cols, .stride = stride};
}

/* ---- running ---- */

struct sto_ops *sto_verify_ops(struct sto_verifier *v)
{
    return &v->ops;
}

struct sto_device_plan *sto_verify_plan(struct sto_verifier *v)
{
    return &v->plan;
}

void sto_verify_dispatch(struct sto_verifier *v, enum sto_kernel kernel, const void *args, uint32_t groups_x,
                         uint32_t groups_y, uint32_t groups_z)
{
    if (v->failed)
        return;
    const struct sto_use all = {.address = v->pool.address, .bytes = v->used, .access = STO_READ_WRITE};
    const struct sto_dispatch dispatch = {
        .kernel = kernel,
        .tuning = &v->plan.tuning[kernel],
        .args = args,
        .groups = {groups_x, groups_y, groups_z},
        .uses = &all,
        .n_uses = 1,
    };
    sto_record_dispatch(v->recording, &dispatch);
}

/* Puts on the device what is new since the last run. */
static enum sto_status upload_new(struct sto_verifier *v)
{
    enum sto_status status = STO_OK;
    if (v->uploaded < v->used)
        status = sto_upload(v->uploader, &v->pool, v->uploaded, v->image + v->uploaded, v->used - v->uploaded, &v->err);
    v->uploaded = v->used;
    return status != STO_OK ? status : sto_upload_finish(v->uploader, &v->err);
}

void sto_verify_run(struct sto_verifier *v)
{
    uint64_t ticket;

    if (v->failed)
        return;
    enum sto_status status = sto_recording_finish(v->recording, &v->err);
    if (status == STO_OK)
        status = upload_new(v);
    if (status == STO_OK)
        status = sto_device_submit(v->device, v->recording, &ticket, &v->err);
    if (status == STO_OK)
        status = sto_device_wait(v->device, ticket, &v->err);
    if (status == STO_OK)
        status = sto_download(v->device, &v->pool, 0, v->got, v->used, &v->err);
    if (status != STO_OK)
        device_failed(v, status);
    else
        sto_recording_begin(v->recording);
}

const void *sto_verify_got(struct sto_verifier *v, struct sto_verify_range range)
{
    return v->got + range.offset;
}

/* ---- looking ---- */

static const char *name_at(const struct sto_verifier *v, uint64_t offset)
{
    for (uint32_t i = 0; i < v->n_ranges; i++)
        if (v->ranges[i].offset == offset)
            return v->ranges[i].name;
    return "?";
}

/* Error over bound of one element; infinite for what is not a number. */
static double ratio_of(float got, double want, double allowed)
{
    const double error = fabs((double)got - want);
    if (isnan(error))
        return INFINITY;
    if (error == 0)
        return 0;
    return allowed > 0 ? error / allowed : INFINITY;
}

static void note_worst(struct sto_verifier *v, double ratio)
{
    if (ratio <= v->result->worst)
        return;
    v->result->worst = ratio;
    memcpy(v->result->worst_case, v->name, sizeof v->name);
}

void sto_verify_compare(struct sto_verifier *v, const struct sto_verify_compare *c)
{
    if (v->failed)
        return;
    const uint64_t last = c->rows > 0 ? (uint64_t)(c->rows - 1) * c->stride + c->cols : 0;
    if ((c->first + last) * 4 > c->range.bytes) {
        sto_verify_fail(v, "'%s' is compared beyond its end", name_at(v, c->range.offset));
        return;
    }
    for (uint32_t r = 0; r < c->rows; r++) {
        for (uint32_t i = 0; i < c->cols; i++) {
            const uint64_t at = c->range.offset + (c->first + (uint64_t)r * c->stride + i) * 4,
                           e = (uint64_t)r * c->cols + i;
            uint32_t bits;
            float got;
            memcpy(&bits, v->got + at, 4);
            memcpy(&got, v->got + at, 4);
            const double allowed = c->bound * (c->magnitude != NULL ? c->magnitude[e] : 1);
            const double ratio = ratio_of(got, c->want[e], allowed);
            if (ratio > 1)
                sto_verify_fail(v, "%s[%u, %u] is %.9g%s, not %.9g (+- %.3g)", name_at(v, c->range.offset), r, i,
                                (double)got, bits == POISON ? " (not written)" : "", c->want[e], allowed);
            note_worst(v, ratio);
            memcpy(v->got + at, v->image + at, 4);
        }
    }
}

void sto_verify_compare_bytes(struct sto_verifier *v, struct sto_verify_range range, uint64_t offset, const void *want,
                              uint64_t bytes)
{
    const uint8_t *expected = want;

    if (v->failed)
        return;
    if (offset > range.bytes || bytes > range.bytes - offset) {
        sto_verify_fail(v, "'%s' is compared beyond its end", name_at(v, range.offset));
        return;
    }
    uint8_t *got = v->got + range.offset + offset;
    for (uint64_t i = 0; i < bytes; i++) {
        if (got[i] == expected[i])
            continue;
        sto_verify_fail(v, "byte %llu of '%s' is %02x, not %02x", (unsigned long long)(offset + i),
                        name_at(v, range.offset), got[i], expected[i]);
        note_worst(v, INFINITY);
        break;
    }
    memcpy(got, v->image + range.offset + offset, bytes);
}

/* Says what lies at a byte of the pool that has changed. */
static void fail_at(struct sto_verifier *v, uint64_t at)
{
    const struct range *before = NULL;

    for (uint32_t i = 0; i < v->n_ranges; i++) {
        const struct range *r = &v->ranges[i];
        if (at >= r->offset && at < r->offset + r->bytes) {
            sto_verify_fail(v, "byte %llu of '%s' was written and should not be", (unsigned long long)(at - r->offset),
                            r->name);
            return;
        }
        if (r->offset <= at && (before == NULL || r->offset > before->offset))
            before = r;
    }
    sto_verify_fail(v, "memory %llu bytes behind the end of '%s' was written",
                    (unsigned long long)(before != NULL ? at - before->offset - before->bytes : at),
                    before != NULL ? before->name : "nothing");
}

void sto_verify_forget(struct sto_verifier *v, struct sto_verify_range range)
{
    if (!v->failed)
        memcpy(v->got + range.offset, v->image + range.offset, (size_t)range.bytes);
}

void sto_verify_end(struct sto_verifier *v)
{
    for (uint32_t i = 0; !v->failed && i < v->n_ranges; i++) {
        const struct range *r = &v->ranges[i];
        if (r->kind == RANGE_SCRATCH)
            memcpy(v->got + r->offset, v->image + r->offset, r->bytes);
    }
    if (!v->failed && v->uploaded < v->used)
        sto_verify_fail(v, "the case never ran");
    for (uint64_t at = 0; !v->failed && at < v->used; at++)
        if (v->got[at] != v->image[at])
            fail_at(v, at);
    v->result->cases++;
    v->result->failed += v->failed;
    if (v->failed && v->result->worst <= 1)
        note_worst(v, INFINITY);
}

/* ---- all kernels ---- */

static void destroy(struct sto_verifier *v)
{
    if (v == NULL)
        return;
    sto_uploader_destroy(v->uploader);
    sto_recording_destroy(v->recording);
    sto_buffer_destroy(v->device, &v->pool);
    sto_free(v->image);
    sto_free(v->got);
    sto_free(v->host);
    sto_free(v);
}

static enum sto_status create(struct sto_device *device, uint64_t pool_bytes, struct sto_verifier **out,
                              struct sto_error *err)
{
    enum sto_status status = STO_ERR_NO_FIT;
    struct sto_verifier *v = sto_calloc(1, sizeof *v);

    if (v == NULL)
        return sto_fail(err, status, "no memory to verify kernels");
    v->device = device;
    v->pool_bytes = pool_bytes;
    v->image = sto_calloc(pool_bytes, 1);
    v->got = sto_calloc(pool_bytes, 1);
    v->host = sto_calloc(STO_VERIFY_HOST_BYTES, 1);
    if (v->image == NULL || v->got == NULL || v->host == NULL) {
        (void)sto_fail(err, status, "no memory to verify kernels");
        goto fail;
    }
    status = sto_buffer_create(device, STO_MEMORY_DEVICE, pool_bytes, "verify", &v->pool, err);
    if (status != STO_OK)
        goto fail;
    status = sto_recording_create(device, &v->recording, err);
    if (status != STO_OK)
        goto fail;
    status = sto_uploader_create(device, &v->uploader, err);
    if (status != STO_OK)
        goto fail;
    *out = v;
    return STO_OK;
fail:
    destroy(v);
    return status;
}

static const char *reason_to_leave_out(const struct sto_device *device, enum sto_kernel kernel)
{
    if (sto_kernel_get(kernel)->spirv == NULL)
        return "not in this build";
    return sto_device_get_plan(device)->usable[kernel] ? NULL : "the device lacks what it needs";
}

static void verify_kernel(struct sto_verifier *v, const struct sto_verify_params *params,
                          struct sto_verify_result *result)
{
    const struct sto_verify_source *source = find_source(params->sources, sto_kernel_get(result->kernel)->source);

    v->result = result;
    (void)snprintf(v->name, sizeof v->name, "no case");
    v->failed = false;
    if (source == NULL) {
        sto_verify_fail(v, "%s has none", sto_kernel_get(result->kernel)->source);
        result->failed = 1;
        return;
    }
    v->workgroup = source->any_workgroup ? params->workgroup : 0;
    reset_plan(v);
    (params->quick && source->quick != NULL ? source->quick : source->run)(v, result->kernel);
    if (result->cases == 0) {
        sto_verify_fail(v, "%s ran none for it", sto_kernel_get(result->kernel)->source);
        result->failed = 1;
    }
}

enum sto_status sto_verify(struct sto_device *device, const struct sto_verify_params *params,
                           struct sto_verify_summary *summary, struct sto_error *err)
{
    struct sto_verifier *v = NULL;
    const char *wanted = params->kernel != NULL ? params->kernel : "";

    *summary = (struct sto_verify_summary){0};
    enum sto_status status =
        create(device, params->quick ? STO_VERIFY_QUICK_BYTES : STO_VERIFY_POOL_BYTES, &v, err);
    if (status != STO_OK)
        return status;
    v->tuning = params->tuning;
    bool known = false;
    for (int k = 0; k < STO_KERNEL_COUNT && v->status == STO_OK; k++) {
        struct sto_verify_result result = {.kernel = (enum sto_kernel)k};
        if (strncmp(sto_kernel_get(result.kernel)->name, wanted, strlen(wanted)) != 0)
            continue;
        known = true;
        if (params->wants != NULL && !params->wants(params->user, result.kernel))
            continue;
        result.left_out = reason_to_leave_out(device, result.kernel);
        if (result.left_out != NULL) {
            summary->left_out++;
        } else {
            verify_kernel(v, params, &result);
            summary->kernels++;
            summary->failed += result.failed > 0;
            summary->cases += result.cases;
        }
        if (params->result != NULL)
            params->result(params->user, &result);
    }
    status = v->status;
    if (status != STO_OK)
        (void)sto_fail(err, status, "%s", v->err.message);
    else if (!known)
        status = sto_fail(err, STO_ERR_USAGE, "no kernel is called '%s'", wanted);
    destroy(v);
    return status;
}
