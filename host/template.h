/* Chat templates: the Jinja language as model files use it.
 *
 *   struct sto_template *t;
 *   sto_template_create(source, size, &t, &err);
 *   struct sto_template_input in = {.messages = messages, .add_generation_prompt = true};
 *   sto_template_render(t, &in, &rendering, &err);
 *   sto_rendering_tokens(&rendering, tokenizer, &tokens, &err);
 *
 * The language and its environment are those of Hugging Face transformers' chat templates: trim_blocks and
 * lstrip_blocks, loop controls, `generation` blocks (which only group), tojson without HTML escapes, raise_exception,
 * strftime_now. Sources: the template designer documentation of Jinja 3.1, and the documentation of chat templates in
 * transformers. Include, import and inheritance are not there: a chat template is one text.
 *
 * Templates and messages may be hostile: both are read with limits (below), and a text keeps, byte for byte, whether
 * the template wrote it or a message, so that a message cannot forge a special token (sto_rendering_tokens).
 * Threads: a template is read-only once made; any number may render it at once. */
#ifndef STO_TEMPLATE_H
#define STO_TEMPLATE_H

#include "host/tokenizer.h"
#include "host/value.h"

enum {
    STO_TEMPLATE_MAX_SOURCE_BYTES = 1 << 20,
    STO_TEMPLATE_MAX_NESTING = 100,            /* of statements and expressions in the source                */
    STO_TEMPLATE_MAX_DEPTH = 600,              /* of evaluation: nesting times calls of macros                */
    STO_TEMPLATE_MAX_STEPS = 20 * 1000 * 1000, /* nodes evaluated, plus one for every 16 bytes or items moved */
    STO_TEMPLATE_MAX_ITERATIONS = 1000 * 1000, /* of all loops together                                       */
    STO_TEMPLATE_MAX_OUTPUT_BYTES = 64 << 20,
    STO_TEMPLATE_MAX_MEMORY_BYTES = 512 << 20  /* what values made on the way may take                        */
};

struct sto_template;

/* Reads a template. STO_ERR_MODEL: it is not a template, or over a limit; the message begins with "line N: ". */
enum sto_status sto_template_create(const char *source, size_t size, struct sto_template **out, struct sto_error *err);
void sto_template_destroy(struct sto_template *t);

#define STO_TEMPLATE_NOW INT64_MIN /* the time it is */

/* What a template is given. Zero-initialised: nothing is defined but add_generation_prompt (false).
 * Text in messages, tools and extra is never trusted; bos_token and eos_token count as the template's own text, and so
 * do the usual names of roles where a field "role" holds one. */
struct sto_template_input {
    struct sto_value messages; /* list of objects: role, content, reasoning_content, tool_calls, ...          */
    struct sto_value tools;    /* list; null: the variable is none; undefined: it is not defined              */
    struct sto_value extra;    /* object: further variables (enable_thinking, documents, ...), which win over
                                  the others; or undefined                                                     */
    bool add_generation_prompt;
    struct sto_view bos_token, eos_token; /* text of the tokens; data NULL: not defined */
    int64_t now;        /* for strftime_now: seconds since 1970-01-01 00:00 on the clock that is to be shown
                           (no zone); STO_TEMPLATE_NOW: the local time. Zero is 1970.                           */
    uint64_t max_steps; /* 0: STO_TEMPLATE_MAX_STEPS */
};

struct sto_rendering {
    char *text;                   /* [size], NUL-terminated; owned                                    */
    size_t size;
    struct sto_segment *segments; /* [n_segments] in order, none empty, sizes add up to size; owned   */
    size_t n_segments;
    char *refusal;                /* what the template gave to raise_exception; NULL: nothing; owned  */
    size_t refusal_size;
    uint64_t n_steps;             /* what it took                                                     */
};

/* Renders. Free *out also after an error: sto_rendering_free.
 * STO_ERR_USAGE: the template refuses (raise_exception; out->refusal has its text), or it fails on this input or is
 * over a limit. The message begins with "line N: " in both cases. */
enum sto_status sto_template_render(const struct sto_template *t, const struct sto_template_input *input,
                                    struct sto_rendering *out, struct sto_error *err);
void sto_rendering_free(struct sto_rendering *rendering); /* accepts a zeroed one */

/* The ids of a rendering, appended to out. Special tokens are recognised only where all their bytes are the
 * template's; everything between them is tokenized as one text, so ids do not depend on where a message begins.
 * User-defined tokens are ordinary text to their vocabulary, and recognised everywhere unless they part turns.
 * The vocabulary's BOS comes first where its rule says so and the template did not write it itself; never an EOS. */
enum sto_status sto_rendering_tokens(const struct sto_rendering *rendering, const struct sto_tokenizer *tokenizer,
                                     struct sto_tokens *out, struct sto_error *err);

/* "2026-01-15 12:00:00", "2026-01-15T12:00", "2026-01-15" or seconds since 1970 as an input's `now`; false: none. */
bool sto_template_parse_time(const char *text, int64_t *now);

#endif
