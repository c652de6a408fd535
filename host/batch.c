/* Jobs: from messages or a text to the tokens of a prompt. */
#include <string.h>

#include "host/batch_internal.h"
#include "host/conversation_internal.h"
#include "host/json.h"
#include "models/model.h"
#include "runtime/base/mem.h"

/* ---- creation ---- */

enum sto_status sto_batch_create(const struct sto_model *model, struct sto_batch **out, struct sto_error *err)
{
    struct sto_batch *b = sto_calloc(1, sizeof *b);
    if (b == NULL)
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for a batch");
    const enum sto_status status = sto_generator_open_text(&b->text, model, err);
    if (status == STO_OK)
        *out = b;
    else
        sto_batch_destroy(b);
    return status;
}

void sto_batch_destroy(struct sto_batch *b)
{
    if (b == NULL)
        return;
    for (size_t i = 0; i < b->n; i++) {
        sto_tokens_free(&b->jobs[i].prompt);
        sto_free(b->jobs[i].error);
    }
    sto_conversation_destroy(b->form);
    sto_generator_close_text(&b->text);
    sto_free(b->jobs);
    sto_free(b);
}

size_t sto_batch_count(const struct sto_batch *batch)
{
    return batch->n;
}

const struct sto_generator *sto_batch_generator(const struct sto_batch *batch)
{
    return &batch->text;
}

uint32_t sto_batch_context(const struct sto_batch *b)
{
    const uint32_t most = b->text.model->h.n_ctx_train;
    uint64_t longest = 1;
    for (size_t i = 0; i < b->n; i++) {
        const uint32_t answer = b->jobs[i].max_tokens != 0 ? b->jobs[i].max_tokens : STO_BATCH_OPEN_TOKENS;
        const uint64_t tokens = b->jobs[i].prompt.n < most ? b->jobs[i].prompt.n + (uint64_t)answer : 1;
        longest = tokens > longest ? tokens : longest;
    }
    return longest < most ? (uint32_t)longest : most;
}

void sto_batch_cancel(struct sto_batch *batch)
{
    atomic_store(&batch->cancelled, true);
}

/* ---- prompts ---- */

static enum sto_status add_messages(struct sto_conversation *c, const struct sto_batch_job *job, struct sto_error *err)
{
    struct sto_arena arena = {0};
    struct sto_value list;
    struct sto_json_text text = {0};
    enum sto_status status = sto_json_read(&arena, job->messages, job->messages_size, &list, err);
    if (status == STO_OK && (list.kind != STO_VALUE_LIST || list.list->n == 0))
        status = sto_fail(err, STO_ERR_USAGE, "messages are no list, or an empty one");
    for (size_t i = 0; status == STO_OK && i < list.list->n; i++) {
        text.size = 0;
        status = sto_json_write(&text, list.list->items[i], NULL, err);
        if (status == STO_OK)
            status = sto_conversation_add_json(c, text.data, text.size, err);
        if (status != STO_OK)
            sto_error_prefix(err, "message %zu", i + 1);
    }
    sto_free(text.data);
    sto_arena_free(&arena);
    return status;
}

/* An empty text: sizes of 0 mean NUL-terminated there. */
static enum sto_status add_message(struct sto_conversation *c, const char *role, const char *text, size_t size,
                                   struct sto_error *err)
{
    return sto_conversation_add(c, role, size > 0 ? text : "", size, err);
}

static enum sto_status make_turn(struct sto_batch *b, const struct sto_batch_job *job, struct sto_tokens *out,
                                 struct sto_error *err)
{
    struct sto_prompt prompt = {0};
    enum sto_status status = STO_OK;
    if (job->system != NULL)
        status = add_message(b->form, "system", job->system, job->system_size, err);
    if (status == STO_OK && job->messages != NULL)
        status = add_messages(b->form, job, err);
    else if (status == STO_OK)
        status = add_message(b->form, "user", job->prompt, job->prompt_size, err);
    if (status == STO_OK)
        status = sto_prompt_render(b->form, 0, job->thinking, &prompt, err);
    if (status == STO_OK) {
        *out = prompt.ids;
        prompt.ids = (struct sto_tokens){0};
    }
    sto_prompt_free(&prompt);
    sto_conversation_truncate(b->form, 0);
    return status;
}

static enum sto_status make_prompt(struct sto_batch *b, const struct sto_batch_job *job, struct sto_tokens *out,
                                   struct sto_error *err)
{
    const bool has_form = sto_model_get_vocab(b->text.model)->chat_template.size > 0;
    if (!job->raw && has_form)
        return make_turn(b, job, out, err);
    if (job->messages != NULL || job->system != NULL)
        return sto_fail(err, STO_ERR_USAGE, "messages and a system's text need a chat template: %s",
                        has_form ? "raw does without" : "this model has none");
    const struct sto_tokenize_params how = {.add_special = true};
    return sto_tokenize(b->text.tokenizer, job->prompt, job->prompt_size, how, out, err);
}

static struct sto_batch_entry *new_entry(struct sto_batch *b, struct sto_error *err)
{
    if (b->n == b->capacity) {
        const size_t capacity = 2 * b->capacity + 64;
        struct sto_batch_entry *grown = sto_realloc(b->jobs, capacity, sizeof *grown);
        if (grown == NULL) {
            (void)sto_fail(err, STO_ERR_NO_FIT, "no memory for %zu prompts", capacity);
            return NULL;
        }
        b->jobs = grown;
        b->capacity = capacity;
    }
    return &b->jobs[b->n];
}

enum sto_status sto_batch_add(struct sto_batch *b, const struct sto_batch_job *job, struct sto_error *err)
{
    struct sto_error why = {0};
    enum sto_status status = STO_OK;
    if (!job->raw && b->form == NULL && (status = sto_conversation_create(&b->text, &b->form, err)) != STO_OK)
        return status;
    struct sto_batch_entry *entry = new_entry(b, err);
    if (entry == NULL)
        return STO_ERR_NO_FIT;
    *entry = (struct sto_batch_entry){.max_tokens = job->max_tokens, .ignore_end = job->ignore_end,
                                      .stops = job->stops, .n_stops = job->n_stops, .sampling = job->sampling};
    entry->status = make_prompt(b, job, &entry->prompt, &why);
    if (entry->status == STO_OK && entry->prompt.n == 0)
        entry->status = sto_fail(&why, STO_ERR_USAGE, "the prompt is empty, and this vocabulary adds no token");
    if (entry->status != STO_OK) {
        sto_tokens_free(&entry->prompt);
        entry->prompt = (struct sto_tokens){0};
        entry->error = sto_strdup(why.message);
    }
    if (entry->status == STO_ERR_NO_FIT || (entry->status != STO_OK && entry->error == NULL)) {
        sto_free(entry->error);
        return sto_fail(err, STO_ERR_NO_FIT, "no memory for prompt %zu", b->n + 1);
    }
    b->n++;
    return STO_OK;
}
