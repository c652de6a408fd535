/* Layers that are streamed while prompts are read, and computed by the processor while tokens are generated.
 *
 *   host memory    weights, once          KV cache of the layer
 *                     | copy engine          | pages of the sequences in the pass       ^ pages with new rows
 *   device         a slot of the ring      each sequence's pages for the layer in turn  |
 *                     '------------------> the layer's kernels -------------------------'
 *
 * Pages go both ways whole, and lie together in both places: a copy for each sequence and direction. Each phase streams
 * other layers, so each has a copy engine; the two share the ring, and one rests while the other works. */
#include "runtime/engine.h"

enum sto_phase sto_phase_of(const struct sto_engine *e, uint32_t n_cols)
{
    const bool prompt = e->info.phased_layers > 0 && n_cols >= e->info.prompt_tokens;
    return prompt ? STO_PHASE_PROMPT : STO_PHASE_DECODE;
}

void sto_phase_begin(struct sto_engine *e, enum sto_phase phase)
{
    struct sto_copy *resting = e->copies[e->copying];
    if (phase == e->copying || e->copies[phase] == NULL) /* where nothing is streamed, what was brought stays */
        return;
    if (resting != NULL)
        sto_copy_pause(resting);
    e->copying = phase;
}

static uint64_t pages_of(uint32_t n_tokens)
{
    return (n_tokens + KV_PAGE - 1) / KV_PAGE;
}

void sto_phase_record_kv(struct sto_engine *e, struct sto_recording *rec, uint32_t layer, const struct sto_work *work,
                         bool back)
{
    /* What stands for the pages in the kernels' uses. */
    const struct sto_use use = {e->kv[layer].base, e->kv[layer].bytes, back ? STO_READ : STO_WRITE};
    sto_record_uses(rec, &use, 1);
    for (uint32_t i = 0; i < work->n_grown; i++) {
        const struct sto_session *s = work->grown[i].session;
        const uint64_t first = back ? s->length / KV_PAGE * e->kv_page_bytes : 0;
        const uint64_t end = pages_of(s->length + (back ? work->grown[i].n_tokens : 0)) * e->kv_page_bytes;
        const struct sto_buffer *host = &s->kv[layer], *device = &s->kv_visit;
        sto_record_copy(rec, back ? host : device, first, back ? device : host, first, end - first);
    }
}
