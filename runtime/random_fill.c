/* Filling memory with random blocks, through the kernel random_fill or, byte for byte the same, on the host. */
#include "runtime/random_fill.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "runtime/formats/formats.h"
#include "shaders/shared/args.h"

static_assert(sizeof(struct RandomFillArgs) == 48, "pushed whole");

/* ---- blocks ---- */

/* Where a block keeps its scales, and what makes its mean 0: value = d * q - offset * d with a q that is not centred,
 * or a random sign of d. */
struct layout {
    uint8_t at;       /* byte of d; the minimum's scale follows where there is one */
    bool has_min;
    float min_over_d; /* the minimum's scale for mean 0                            */
};

static struct layout layout_of(enum sto_type type)
{
    switch (type) {
    case STO_TYPE_Q4_1: return (struct layout){0, true, -7.5f};  /* d q + m, q from 0 to 15         */
    case STO_TYPE_Q5_1: return (struct layout){0, true, -15.5f}; /* q from 0 to 31                  */
    case STO_TYPE_Q2_K: return (struct layout){80, true, 1.5f};  /* d s q - dmin m, q from 0 to 3   */
    case STO_TYPE_Q4_K: return (struct layout){0, true, 7.5f};
    case STO_TYPE_Q5_K: return (struct layout){0, true, 15.5f};
    case STO_TYPE_Q3_K: return (struct layout){108, false, 0.0f};
    case STO_TYPE_Q6_K: return (struct layout){208, false, 0.0f};
    default: return (struct layout){0, false, 0.0f};
    }
}

static bool is_plain(enum sto_type type)
{
    return type == STO_TYPE_F32 || type == STO_TYPE_F16 || type == STO_TYPE_BF16;
}

/* Either sign, and the digits below the first three random: magnitudes within an eighth of each other. */
static struct sto_random_block plain_block(enum sto_type type, float deviation)
{
    const float from = deviation / 1.0625f;
    uint32_t bits;
    memcpy(&bits, &from, sizeof bits);
    if (type == STO_TYPE_F32)
        return (struct sto_random_block){4, 0, 4, 0x800fffffu, bits & ~0x800fffffu};
    if (type == STO_TYPE_BF16)
        return (struct sto_random_block){2, 0, 2, 0x800fu, sto_f32_to_bf16(from) & 0x7ff0u};
    return (struct sto_random_block){2, 0, 2, 0x807fu, sto_f32_to_f16(from) & 0x7f80u};
}

static struct sto_random_block scaled_block(enum sto_type type, float d)
{
    const struct layout layout = layout_of(type);
    struct sto_random_block b = {.block_bytes = sto_type_get(type)->block_bytes, .field_at = layout.at};
    if (type == STO_TYPE_MXFP4) { /* a power of two, biased by 127 */
        b.field_bytes = 1;
        b.set = (uint32_t)(127 + lroundf(log2f(d))) & 255u;
    } else if (layout.has_min) {
        b.field_bytes = 4;
        b.set = sto_f32_to_f16(d) | (uint32_t)sto_f32_to_f16(d * layout.min_over_d) << 16;
    } else {
        b.field_bytes = 2;
        b.keep = 0x8000u;
        b.set = sto_f32_to_f16(d);
    }
    return b;
}

/* The deviation of blocks whose scale is 1. */
static double measure(enum sto_type type)
{
    enum { N_BLOCKS = 16 };
    const struct sto_random_block unit = scaled_block(type, 1.0f);
    const size_t n = sto_type_get(type)->block_elems;
    uint8_t bytes[N_BLOCKS * 256];
    float values[256];
    double sum = 0.0;
    size_t blocks = 0;
    for (uint64_t seed = 0; seed < 64; seed++) { /* so many that the mean of their squares is within 1 % */
        sto_random_bytes(&unit, seed, 0, bytes, (size_t)N_BLOCKS * unit.block_bytes);
        for (size_t i = 0; i < N_BLOCKS; i++, blocks++) {
            sto_decode(type, bytes + i * unit.block_bytes, values, n);
            for (size_t k = 0; k < n; k++)
                sum += (double)values[k] * (double)values[k];
        }
    }
    return sqrt(sum / (double)(blocks * n));
}

struct sto_random_block sto_random_block_make(enum sto_type type, float deviation)
{
    return is_plain(type) ? plain_block(type, deviation)
                          : scaled_block(type, (float)((double)deviation / measure(type)));
}

struct sto_random_block sto_random_block_plain(void)
{
    return (struct sto_random_block){.block_bytes = 16};
}

/* ---- bytes ---- */

/* lowbias32, C. Wellons, https://github.com/skeeto/hash-prospector. */
static uint32_t hash(uint32_t x, uint64_t seed)
{
    x ^= (uint32_t)(seed & UINT32_MAX);
    x = (x ^ x >> 16) * 0x7feb352du;
    x = (x ^ x >> 15) * 0x846ca68bu;
    return (x ^ x >> 16) ^ (uint32_t)(seed >> 32);
}

void sto_random_bytes(const struct sto_random_block *block, uint64_t seed, uint64_t first, uint8_t *dst, size_t n)
{
    uint32_t word = 0;
    for (size_t i = 0; i < n; i++) {
        const uint64_t at = first + i;
        const uint64_t in_field = at % block->block_bytes - block->field_at;
        if (i % 4 == 0)
            word = hash((uint32_t)(at / 4 & UINT32_MAX), seed);
        uint32_t byte = word >> 8 * (at % 4);
        if (in_field < block->field_bytes)
            byte = (byte & block->keep >> 8 * in_field) | block->set >> 8 * in_field;
        dst[i] = (uint8_t)(byte & 255u);
    }
}

/* ---- on the device ---- */

enum { PIECE_UNITS = 4 << 20, MAX_GROUPS_X = 32768 }; /* 64 MiB a submission: no driver's watchdog minds */

static enum sto_status fill_piece(struct sto_recording *rec, const struct RandomFillArgs *args, struct sto_error *err)
{
    struct sto_device *device = sto_recording_device(rec);
    const struct sto_tuning *tuning = &sto_device_get_plan(device)->tuning[STO_KERNEL_random_fill];
    const uint32_t n = args->units + (args->tail_bytes > 0 ? 1 : 0);
    const uint32_t groups = (n + tuning->values[0] - 1) / tuning->values[0];
    const uint32_t groups_y = (groups + MAX_GROUPS_X - 1) / MAX_GROUPS_X;
    const uint64_t bytes = (uint64_t)args->units * 16 + args->tail_bytes;
    const struct sto_use use = {.address = args->dst, .bytes = bytes, .access = STO_WRITE};
    const struct sto_dispatch dispatch = {
        .kernel = STO_KERNEL_random_fill,
        .tuning = tuning,
        .args = args,
        .groups = {(groups + groups_y - 1) / groups_y, groups_y, 1},
        .uses = &use,
        .n_uses = 1,
        .flops = (uint64_t)n * 256,
        .bytes_moved = bytes,
    };
    uint64_t ticket = 0;
    sto_recording_begin(rec);
    sto_record_dispatch(rec, &dispatch);
    enum sto_status status = sto_recording_finish(rec, err);
    if (status == STO_OK)
        status = sto_device_submit(device, rec, &ticket, err);
    return status == STO_OK ? sto_device_wait(device, ticket, err) : status;
}

enum sto_status sto_random_fill(struct sto_recording *rec, const struct sto_buffer *dst, uint64_t offset,
                                uint64_t bytes, const struct sto_random_block *block, uint64_t seed,
                                struct sto_error *err)
{
    enum sto_status status = STO_OK;
    assert(offset % 16 == 0 && bytes <= UINT64_C(1) << 32 && block->block_bytes > 0 && block->block_bytes <= 4096);
    for (uint64_t done = 0; done < bytes && status == STO_OK; done += (uint64_t)PIECE_UNITS * 16) {
        const uint64_t left = bytes - done;
        const bool last = left <= (uint64_t)PIECE_UNITS * 16;
        const struct RandomFillArgs args = {
            .dst = dst->address + offset + done,
            .units = last ? (uint32_t)(left / 16) : PIECE_UNITS,
            .tail_bytes = last ? (uint32_t)(left % 16) : 0,
            .first = (uint32_t)(done / 16),
            .block_bytes = block->block_bytes,
            .field_at = block->field_at,
            .field_bytes = block->field_bytes,
            .keep = block->keep,
            .set = block->set,
            .seed_low = (uint32_t)(seed & UINT32_MAX),
            .seed_high = (uint32_t)(seed >> 32),
        };
        status = fill_piece(rec, &args, err);
    }
    return status;
}
