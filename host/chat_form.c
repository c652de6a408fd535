/* The turn markers of the common chat forms. Sources: the chat templates that the models' publishers ship. */
#include "host/chat_form.h"

#include <string.h>

/* The more particular first: DeepSeek's and Llama's templates may mention others' markers in passing, and some
 * templates open the answer with a thought. Markers are template source, where a line's end is written \n. */
static const struct sto_chat_form forms[] = {
    {"deepseek", "<\xef\xbd\x9c" "Assistant\xef\xbd\x9c><think>", "<\xef\xbd\x9cUser\xef\xbd\x9c>",
     "<\xef\xbd\x9c" "Assistant\xef\xbd\x9c><think>\n", true},
    {"deepseek", "<\xef\xbd\x9cUser\xef\xbd\x9c>", "<\xef\xbd\x9cUser\xef\xbd\x9c>",
     "<\xef\xbd\x9c" "Assistant\xef\xbd\x9c>", true},
    {"llama3", "<|start_header_id|>", "<|start_header_id|>user<|end_header_id|>\n\n",
     "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n", true},
    {"chatml", "<|im_start|>assistant\\n<think>", "<|im_start|>user\n",
     "<|im_end|>\n<|im_start|>assistant\n<think>\n", false},
    {"chatml", "<|im_start|>", "<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n", false},
    {"mistral", "[INST]", "[INST] ", " [/INST]", true},
};

static bool contains(struct sto_view text, const char *what)
{
    const size_t n = strlen(what);
    for (size_t i = 0; i + n <= text.size; i++) {
        if (memcmp(text.data + i, what, n) == 0)
            return true;
    }
    return false;
}

const struct sto_chat_form *sto_chat_form_find(struct sto_view chat_template)
{
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (contains(chat_template, forms[i].marker))
            return &forms[i];
    }
    return NULL;
}

enum sto_status sto_chat_form_tokens(const struct sto_chat_form *form, const struct sto_tokenizer *tokenizer,
                                     const char *text, size_t size, struct sto_tokens *out, struct sto_error *err)
{
    const struct sto_tokenize_params markers = {.parse_special = true};
    const struct sto_tokenize_params plain = {0};
    const uint32_t bos = sto_tokenizer_bos(tokenizer);
    enum sto_status status = STO_OK;
    if (form->bos && bos != STO_TOKEN_NONE)
        status = sto_tokens_push(out, bos, err);
    if (status == STO_OK)
        status = sto_tokenize(tokenizer, form->before, strlen(form->before), markers, out, err);
    if (status == STO_OK)
        status = sto_tokenize(tokenizer, text, size, plain, out, err);
    if (status == STO_OK)
        status = sto_tokenize(tokenizer, form->after, strlen(form->after), markers, out, err);
    return status;
}
