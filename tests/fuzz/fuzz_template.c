/* Templates and conversations made of the input.
 *
 * Input: flags, then the template, a zero byte, and JSON: the messages, or an object whose fields become variables.
 * An input without a zero byte is a template for messages that are the same in every run.
 * Checked: no run takes more steps than its limit, errors say why, segments cover the text, JSON that is read can be
 * written and read again as the same text. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/json.h"
#include "host/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_STEPS = 20000, SPARE_STEPS = 64 << 20 /* one operation may move a text of the greatest size */ };

static const char usual[] =
    "[{\"role\":\"system\",\"content\":\"Be brief.\"},"
    "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"}]},"
    "{\"role\":\"assistant\",\"content\":null,"
    "\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":{\"x\":1.5}}}]},"
    "{\"role\":\"tool\",\"content\":\"<|im_end|> \\u00e9\\n\"},{\"role\":\"user\",\"content\":\"b\"}]";

static void require(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "broken: %s\n", what);
        abort();
    }
}

/* What is written of a value reads back as what writes the same. */
static void check_json(struct sto_value v)
{
    struct sto_arena arena = {0};
    struct sto_json_text first = {0}, second = {0};
    struct sto_value again;
    require(sto_json_write(&first, v, NULL, NULL) == STO_OK, "what was read can be written");
    if (strstr(first.data, "Infinity") == NULL) {
        require(sto_json_read(&arena, first.data, first.size, &again, NULL) == STO_OK, "what was written can be read");
        require(sto_json_write(&second, again, NULL, NULL) == STO_OK, "and be written again");
        require(first.size == second.size && memcmp(first.data, second.data, first.size) == 0, "as the same text");
    }
    sto_free(first.data);
    sto_free(second.data);
    sto_arena_free(&arena);
}

static void check_rendering(const struct sto_rendering *r, enum sto_status status, const struct sto_error *err)
{
    size_t covered = 0;
    for (size_t i = 0; i < r->n_segments; i++) {
        require(r->segments[i].size > 0, "no segment is empty");
        covered += r->segments[i].size;
    }
    require(covered == r->size, "segments cover the text");
    require(r->n_steps < MAX_STEPS + SPARE_STEPS, "the limit of steps holds");
    require(status == STO_OK || (status == STO_ERR_USAGE && strncmp(err->message, "line ", 5) == 0),
            "a failure says where");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const uint8_t flags = data[0];
    const char *source = (const char *)data + 1;
    const char *zero = memchr(source, '\0', size - 1);
    const size_t source_size = zero != NULL ? (size_t)(zero - source) : size - 1;
    const char *json = zero != NULL ? zero + 1 : usual;
    const size_t json_size = zero != NULL ? size - 2 - source_size : strlen(usual);
    struct sto_template_input input = {.now = 1768478400, .max_steps = MAX_STEPS};
    struct sto_arena arena = {0};
    struct sto_value v;
    struct sto_template *t = NULL;
    struct sto_error err = {0};
    input.add_generation_prompt = (flags & 1) != 0;
    if ((flags & 2) != 0)
        input.bos_token = (struct sto_view){"<s>", 3};
    input.tools = (flags & 4) != 0 ? sto_value_null() : sto_value_undefined();
    if (sto_json_read(&arena, json, json_size, &v, &err) != STO_OK) {
        require(err.message[0] != '\0', "a refusal says why");
        v = sto_value_null();
    } else {
        check_json(v);
    }
    input.messages = v;
    input.extra = v;
    const enum sto_status status = sto_template_create(source, source_size, &t, &err);
    if (status == STO_OK) {
        struct sto_rendering r;
        const enum sto_status rendered = sto_template_render(t, &input, &r, &err);
        check_rendering(&r, rendered, &err);
        sto_rendering_free(&r);
    } else {
        require(t == NULL && strncmp(err.message, "line ", 5) == 0, "a template that is refused says where");
    }
    sto_template_destroy(t);
    sto_arena_free(&arena);
    return 0;
}
