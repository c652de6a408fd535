/* A rendering as token ids. */
#include "host/template.h"

enum sto_status sto_rendering_tokens(const struct sto_rendering *rendering, const struct sto_tokenizer *tokenizer,
                                     struct sto_tokens *out, struct sto_error *err)
{
    /* Without segments a tokenizer would take all text for a template's. */
    static const struct sto_segment nothing = {0};
    const struct sto_tokenize_params how = {.segments = rendering->n_segments > 0 ? rendering->segments : &nothing,
                                            .n_segments = rendering->n_segments};
    const char *text = rendering->text != NULL ? rendering->text : "";
    const uint32_t bos = sto_tokenizer_bos(tokenizer);
    struct sto_tokens ids = {0};
    enum sto_status status = sto_tokenize(tokenizer, text, rendering->size, how, &ids, err);
    if (status == STO_OK && sto_tokenizer_adds_bos(tokenizer) && (ids.n == 0 || ids.ids[0] != bos))
        status = sto_tokens_push(out, bos, err);
    for (size_t i = 0; i < ids.n && status == STO_OK; i++)
        status = sto_tokens_push(out, ids.ids[i], err);
    sto_tokens_free(&ids);
    return status;
}
