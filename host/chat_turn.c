/* One user turn in a model's own chat template. */
#include "host/chat_turn.h"

static struct sto_view token_text(const struct sto_tokenizer *tokenizer, uint32_t id)
{
    return id < sto_tokenizer_n_tokens(tokenizer) ? sto_tokenizer_bytes(tokenizer, id) : (struct sto_view){NULL, 0};
}

struct sto_template_input sto_chat_turn_input(const struct sto_vocab *vocab, const struct sto_tokenizer *tokenizer)
{
    return (struct sto_template_input){.tools = sto_value_null(),
                                       .add_generation_prompt = true,
                                       .bos_token = token_text(tokenizer, sto_tokenizer_bos(tokenizer)),
                                       .eos_token = token_text(tokenizer, vocab->eos),
                                       .now = STO_TEMPLATE_NOW};
}

/* [{"role": "user", "content": text}] */
static bool make_messages(struct sto_arena *arena, struct sto_view text, struct sto_value *out)
{
    struct sto_list *messages = sto_list_create(arena);
    struct sto_object *message = sto_object_create(arena);
    const struct sto_value role = sto_value_string(arena, "user");
    const struct sto_value content = sto_value_text(arena, text.data, text.size);
    if (messages == NULL || message == NULL || role.kind == STO_VALUE_UNDEFINED || content.kind == STO_VALUE_UNDEFINED)
        return false;
    *out = sto_value_of_list(messages);
    return sto_object_set(arena, message, "role", role) && sto_object_set(arena, message, "content", content) &&
           sto_list_add(arena, messages, sto_value_of_object(message));
}

enum sto_status sto_chat_turn_tokens(const struct sto_template *t, const struct sto_template_input *input,
                                     const struct sto_tokenizer *tokenizer, struct sto_view text,
                                     struct sto_tokens *out, struct sto_error *err)
{
    struct sto_arena arena = {0};
    struct sto_rendering rendering = {0};
    struct sto_template_input with_message = *input;
    enum sto_status status = STO_OK;
    if (!make_messages(&arena, text, &with_message.messages))
        status = sto_fail(err, STO_ERR_NO_FIT, "no memory for a prompt of %zu bytes", text.size);
    if (status == STO_OK) {
        status = sto_template_render(t, &with_message, &rendering, err);
        if (status != STO_OK)
            sto_error_prefix(err, "the model's chat template");
    }
    if (status == STO_OK)
        status = sto_rendering_tokens(&rendering, tokenizer, out, err);
    sto_rendering_free(&rendering);
    sto_arena_free(&arena);
    return status;
}
