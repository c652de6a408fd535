/* The largest context that keeps all weights on the device. */
#include "runtime/fit.h"

#include <stdio.h>

#include "runtime/base/status.h"

enum { SMALLEST_FITTED_CTX = 4096 };

uint64_t sto_fit_bytes(const struct sto_fit_input *in, uint32_t tokens)
{
    const uint64_t granule = in->granule_tokens > 0 ? in->granule_tokens : 1;
    const uint64_t rounded = (tokens + granule - 1) / granule * granule;
    return in->weight_bytes + in->fixed_bytes + rounded * (in->kv_bytes_per_token + in->scratch_bytes_per_token);
}

static bool fits(const struct sto_fit_input *in, uint32_t tokens)
{
    return sto_fit_bytes(in, tokens) <= in->available_bytes;
}

const char *sto_size_text(uint64_t bytes, char *text)
{
    const double mib = (double)bytes / (1024.0 * 1024.0);
    if (mib < 1024.0)
        (void)snprintf(text, STO_SIZE_CHARS, "%.1f MiB", mib);
    else
        (void)snprintf(text, STO_SIZE_CHARS, "%.2f GiB", mib / 1024.0);
    return text;
}

/* The largest context that would fit, for the error's advice; 0: not even the weights do. */
static uint32_t largest_fitting(const struct sto_fit_input *in)
{
    uint32_t low = 0, high = in->trained_tokens;
    while (low < high) {
        const uint32_t middle = low + (high - low + 1) / 2;
        if (fits(in, middle))
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

static enum sto_status no_fit(const struct sto_fit_input *in, uint32_t tokens, struct sto_error *err)
{
    const uint32_t most = largest_fitting(in);
    char need[STO_SIZE_CHARS], weights[STO_SIZE_CHARS], kv[STO_SIZE_CHARS], available[STO_SIZE_CHARS];
    char advice[96], larger[32] = "";
    if (in->option != NULL)
        (void)snprintf(larger, sizeof larger, "a larger %s or ", in->option);
    if (most == 0)
        (void)snprintf(advice, sizeof advice, "a smaller quantisation of the model would fit");
    else
        (void)snprintf(advice, sizeof advice, "--ctx %u would fit, or a smaller --kv format", most);
    return sto_fail(err, STO_ERR_NO_FIT,
                    "the model needs %s %s (weights %s, KV cache of %u tokens %s), %s is available; %s%s",
                    sto_size_text(sto_fit_bytes(in, tokens), need), in->where != NULL ? in->where : "on the device",
                    sto_size_text(in->weight_bytes, weights), tokens,
                    sto_size_text(in->kv_bytes_per_token * tokens, kv),
                    sto_size_text(in->available_bytes, available), larger, advice);
}

uint32_t sto_fit_smallest(const struct sto_fit_input *in)
{
    if (in->wanted_tokens != 0)
        return in->wanted_tokens;
    return in->trained_tokens < SMALLEST_FITTED_CTX ? in->trained_tokens : SMALLEST_FITTED_CTX;
}

enum sto_status sto_fit_context(const struct sto_fit_input *in, uint32_t *ctx_tokens, struct sto_error *err)
{
    if (in->wanted_tokens > in->trained_tokens)
        return sto_fail(err, STO_ERR_USAGE, "a context of %u tokens was asked for, the model was trained for %u",
                        in->wanted_tokens, in->trained_tokens);
    const uint32_t first = in->wanted_tokens != 0 ? in->wanted_tokens : in->trained_tokens;
    if (fits(in, first)) {
        *ctx_tokens = first;
        return STO_OK;
    }
    const uint32_t smallest = sto_fit_smallest(in);
    if (smallest < first) {
        uint32_t best = 0;
        for (uint64_t tokens = smallest; tokens < first && fits(in, (uint32_t)tokens); tokens *= 2)
            best = (uint32_t)tokens;
        if (best != 0) {
            *ctx_tokens = best;
            return STO_OK;
        }
    }
    return no_fit(in, smallest, err);
}

uint32_t sto_fit_sequences(const struct sto_fit_input *in, uint64_t layer_bytes, uint32_t ctx_tokens, uint32_t wanted)
{
    enum { WORTH_STREAMING_FOR = 4 };
    struct sto_fit_input without_kv = *in;
    without_kv.kv_bytes_per_token = 0;
    const uint64_t others = sto_fit_bytes(&without_kv, ctx_tokens) + layer_bytes;
    const uint64_t kv = sto_fit_bytes(in, ctx_tokens) - sto_fit_bytes(&without_kv, ctx_tokens);
    const uint64_t beside = in->available_bytes > others && kv > 0 ? (in->available_bytes - others) / kv : 0;
    const uint64_t half = kv > 0 ? in->available_bytes / 2 / kv : wanted;
    const bool all_resident = beside >= WORTH_STREAMING_FOR || beside >= wanted;
    const uint64_t n = all_resident || beside > half ? beside : half;
    return n < 1 ? 1 : n < wanted ? (uint32_t)n : wanted;
}

enum sto_status sto_fit_refuse(const struct sto_fit_input *in, uint64_t slot_bytes, struct sto_error *err)
{
    const uint32_t ctx = sto_fit_smallest(in);
    char needed[STO_SIZE_CHARS], layer[STO_SIZE_CHARS], kv[STO_SIZE_CHARS], there[STO_SIZE_CHARS];
    return sto_fail(err, STO_ERR_NO_FIT,
                    "the model needs %s on the device even with the weights of one layer there at a time (%s, the "
                    "largest), KV cache of %u tokens %s; %s is available; a shorter --ctx, a smaller --kv format or a "
                    "smaller quantisation of the model takes less",
                    sto_size_text(sto_fit_bytes(in, ctx) + slot_bytes, needed), sto_size_text(slot_bytes, layer),
                    (unsigned)ctx, sto_size_text(in->kv_bytes_per_token * ctx, kv),
                    sto_size_text(in->available_bytes, there));
}
