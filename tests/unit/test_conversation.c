/* Conversations with the demo model: what is evaluated again and what is not, what is left out when the context fills
 * up, thoughts, stops and cancelling. The model's file is copied with a longer context or another template where a test
 * needs one; what the model says does not matter, only what is done with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host/conversation.h"
#include "runtime/base/mem.h"
#include "runtime/base/os.h"

#define DEMO STRATO_SOURCE_DIR "/models/demo/demo.gguf"

static struct sto_device *device;

struct chat {
    struct sto_model *model;
    struct sto_engine *engine;
    struct sto_generator *generator;
    struct sto_conversation *c;
};

/* ---- the model's file, changed ---- */

static char *find(char *data, size_t size, const char *text)
{
    const size_t n = strlen(text);
    for (size_t i = 0; i + n <= size; i++) {
        if (memcmp(data + i, text, n) == 0)
            return data + i + n;
    }
    fail_msg("the demo model has no %s", text);
    return NULL;
}

/* A copy with this context, and this template unless it is NULL; one that is shorter is filled up with a comment. */
static void write_model(const char *path, uint32_t context, const char *form)
{
    char *data = NULL;
    size_t size = 0;
    struct sto_error err;
    assert_int_equal(sto_file_read(DEMO, 64 << 20, &data, &size, &err), STO_OK);
    memcpy(find(data, size, "qwen3.context_length") + 4, &context, 4);
    if (form != NULL) {
        uint64_t room;
        char *at = find(data, size, "tokenizer.chat_template") + 4;
        memcpy(&room, at, 8);
        const size_t n = strlen(form);
        assert_true(n + 4 <= room);
        memset(at + 8, ' ', (size_t)room);
        memcpy(at + 8, form, n);
        memcpy(at + 8 + n, "{#", 2);
        memcpy(at + 8 + room - 2, "#}", 2);
    }
    assert_int_equal(sto_file_write_atomic(path, data, size, &err), STO_OK);
    sto_free(data);
}

static void open_chat(struct chat *chat, uint32_t context, const char *form)
{
    char path[64];
    struct sto_error err = {0};
    const struct sto_engine_params params = {
        .ctx_tokens = context, .math = STO_MATH_EXACT, .deterministic = context < 4096};
    (void)snprintf(path, sizeof path, "test_conversation_%u.gguf", (unsigned)(sto_wall_seed() % 1000000));
    write_model(path, context, form);
    *chat = (struct chat){0};
    if (sto_model_open(path, NULL, NULL, &chat->model, &err) != STO_OK ||
        sto_engine_create(device, chat->model, &params, NULL, &chat->engine, &err) != STO_OK ||
        sto_generator_create(chat->engine, &chat->generator, &err) != STO_OK ||
        sto_conversation_create(chat->generator, &chat->c, &err) != STO_OK)
        fail_msg("%s", err.message);
    (void)remove(path);
}

static void close_chat(struct chat *chat)
{
    sto_conversation_destroy(chat->c);
    sto_generator_destroy(chat->generator);
    sto_engine_destroy(chat->engine);
    sto_model_close(chat->model);
}

/* ---- replies ---- */

struct heard {
    char text[4096], thought[4096], raw[4096];
    size_t n_text, n_thought, n_raw, n_dropped, n_done, stop_after;
    enum sto_stop stop;
};

static bool on_event(void *user, const struct sto_event *e)
{
    struct heard *h = user;
    assert_int_equal(h->n_done, 0); /* nothing comes behind the end */
    if (e->kind == STO_EVENT_TEXT) {
        memcpy(h->text + h->n_text, e->text, e->size);
        h->n_text += e->size;
    } else if (e->kind == STO_EVENT_REASONING) {
        memcpy(h->thought + h->n_thought, e->text, e->size);
        h->n_thought += e->size;
    } else if (e->kind == STO_EVENT_DROPPED) {
        h->n_dropped += e->n;
    } else if (e->kind == STO_EVENT_DONE) {
        h->n_done++;
        h->stop = e->stop;
    }
    return h->stop_after != 0 && h->n_text + h->n_thought >= h->stop_after;
}

static bool on_raw(void *user, const char *text, size_t size)
{
    struct heard *h = user;
    assert_true(size > 0 && h->n_raw + size < sizeof h->raw);
    memcpy(h->raw + h->n_raw, text, size);
    h->n_raw += size;
    return false;
}

static struct sto_reply_params params(struct heard *heard, uint32_t max_tokens)
{
    struct sto_reply_params p;
    sto_reply_defaults(&p);
    *heard = (struct heard){0};
    p.sampling.temperature = 0;
    p.max_tokens = max_tokens;
    p.user = heard;
    p.on_event = on_event;
    p.on_raw = on_raw;
    return p;
}

static void say(struct sto_conversation *c, const char *text)
{
    struct sto_error err;
    assert_int_equal(sto_conversation_add(c, "user", text, 0, &err), STO_OK);
}

static void reply(struct sto_conversation *c, const struct sto_reply_params *p, struct sto_reply *out)
{
    struct sto_error err = {0};
    if (sto_conversation_reply(c, p, out, &err) != STO_OK)
        fail_msg("%s", err.message);
    const struct heard *h = p->user;
    assert_int_equal(out->generated.text_size, strlen(out->generated.text));
    assert_string_equal(h->raw, out->generated.text); /* what came in pieces is the whole */
}

/* Tokens in the KV cache after a reply: the last one that was generated has not been evaluated. */
static size_t held(const struct sto_reply *r)
{
    return r->generated.n_prompt_tokens + r->generated.n_tokens - 1;
}

static void long_message(char *text, size_t size, int n)
{
    size_t at = 0;
    for (int i = 0; i < n; i++)
        at += (size_t)snprintf(text + at, size - at, "What is %d + %d? ", i % 100, (7 * i) % 100);
}

/* ---- what is evaluated ---- */

static void the_second_turn_evaluates_only_its_own(void **state)
{
    (void)state;
    static char text[8192];
    struct chat chat;
    struct heard heard;
    struct sto_reply first, second;
    open_chat(&chat, 4096, NULL);
    long_message(text, sizeof text, 200);
    say(chat.c, text);
    struct sto_reply_params p = params(&heard, 4);
    reply(chat.c, &p, &first);
    assert_true(first.generated.n_prompt_tokens > 2000);
    assert_int_equal(first.n_evaluated, first.generated.n_prompt_tokens);
    assert_string_equal(sto_conversation_field(chat.c, 1, "role"), "assistant");
    assert_string_equal(sto_conversation_field(chat.c, 1, "content"), heard.text);
    say(chat.c, "What is 3 + 4?");
    p = params(&heard, 12);
    reply(chat.c, &p, &second);
    assert_int_equal(second.n_evaluated, second.generated.n_prompt_tokens - held(&first));
    assert_true(second.n_evaluated < 30);
    sto_reply_free(&first);
    sto_reply_free(&second);
    close_chat(&chat);
}

/* A conversation that goes on and another one with the same messages say the same, bit for bit. */
static void what_is_kept_changes_nothing(void **state)
{
    (void)state;
    struct chat chat;
    struct heard heard;
    struct sto_reply first, second;
    open_chat(&chat, 512, NULL);
    say(chat.c, "Tell me about a fox.");
    struct sto_reply_params p = params(&heard, 12);
    reply(chat.c, &p, &first);
    say(chat.c, "What is 3 + 4?");
    p = params(&heard, 12);
    reply(chat.c, &p, &second);
    assert_true(second.n_evaluated < second.generated.n_prompt_tokens);
    struct sto_conversation *other = NULL;
    struct sto_reply again;
    assert_int_equal(sto_conversation_create(chat.generator, &other, NULL), STO_OK);
    for (size_t i = 0; i < 3; i++) {
        char *json = NULL;
        assert_int_equal(sto_conversation_json(chat.c, i, &json, NULL), STO_OK);
        assert_int_equal(sto_conversation_add_json(other, json, strlen(json), NULL), STO_OK);
        sto_conversation_free_text(json);
    }
    p = params(&heard, 12);
    reply(other, &p, &again);
    assert_int_equal(again.n_evaluated, again.generated.n_prompt_tokens);
    assert_int_equal(again.generated.n_tokens, second.generated.n_tokens);
    assert_memory_equal(again.generated.tokens, second.generated.tokens, 4 * second.generated.n_tokens);

    /* And now the session is no longer the first one's. */
    say(chat.c, "Hello!");
    sto_reply_free(&second);
    p = params(&heard, 2);
    reply(chat.c, &p, &second);
    assert_int_equal(second.n_evaluated, second.generated.n_prompt_tokens);
    sto_reply_free(&first);
    sto_reply_free(&second);
    sto_reply_free(&again);
    sto_conversation_destroy(other);
    close_chat(&chat);
}

/* At a high temperature words come in pieces that the tokenizer would not choose. */
static void a_models_own_tokens_are_kept(void **state)
{
    (void)state;
    struct chat chat;
    struct heard heard;
    open_chat(&chat, 512, NULL);
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct sto_reply first, second;
        sto_conversation_truncate(chat.c, 0);
        say(chat.c, "Tell me about a fox.");
        struct sto_reply_params p = params(&heard, 24);
        p.sampling.temperature = 3;
        p.sampling.top_k = 0;
        p.sampling.top_p = 1;
        p.sampling.min_p = 0;
        p.sampling.seed = seed;
        reply(chat.c, &p, &first);
        say(chat.c, "Hello!");
        p = params(&heard, 1);
        reply(chat.c, &p, &second);
        assert_int_equal(second.n_evaluated, second.generated.n_prompt_tokens - held(&first));
        sto_reply_free(&first);
        sto_reply_free(&second);
    }
    close_chat(&chat);
}

static void a_full_context_loses_its_oldest_turns(void **state)
{
    (void)state;
    struct chat chat;
    struct heard heard;
    size_t n_dropped = 0, most = 0;
    uint32_t system[8] = {0};
    open_chat(&chat, 256, NULL);
    assert_int_equal(sto_conversation_add(chat.c, "system", "You are Pebble.", 0, NULL), STO_OK);
    for (int turn = 0; turn < 12; turn++) {
        struct sto_reply r;
        say(chat.c, "What is the opposite of hot? And what is 3 + 4?");
        struct sto_reply_params p = params(&heard, 8);
        reply(chat.c, &p, &r);
        if (turn == 0)
            memcpy(system, r.generated.prompt_tokens, sizeof system);
        assert_memory_equal(system, r.generated.prompt_tokens, sizeof system); /* the system's message stays */
        assert_int_equal(heard.n_dropped, r.n_dropped);
        assert_int_equal(r.n_dropped % 2, 0); /* whole turns: a message of the user, one of the assistant */
        assert_true(r.generated.n_prompt_tokens + 8 <= 256);
        if (r.n_dropped > 0)
            assert_true(r.generated.n_prompt_tokens <= 128);
        n_dropped += r.n_dropped;
        most = r.generated.n_prompt_tokens > most ? r.generated.n_prompt_tokens : most;
        assert_int_equal(sto_conversation_dropped(chat.c), n_dropped);
        sto_reply_free(&r);
    }
    assert_true(n_dropped >= 8);
    assert_true(most > 200); /* it was used before anything was left out */
    assert_int_equal(sto_conversation_count(chat.c), 25); /* the messages are still there */
    sto_conversation_truncate(chat.c, 1);
    assert_int_equal(sto_conversation_dropped(chat.c), 0);
    close_chat(&chat);
}

/* ---- ends ---- */

static void a_cancelled_reply_is_kept(void **state)
{
    (void)state;
    struct chat chat;
    struct heard heard;
    struct sto_reply r;
    open_chat(&chat, 512, NULL);
    say(chat.c, "Tell me about a fox.");
    struct sto_reply_params p = params(&heard, 100);
    heard.stop_after = 10;
    reply(chat.c, &p, &r);
    assert_int_equal(heard.stop, STO_STOP_CANCELLED);
    assert_int_equal(r.generated.stop, STO_STOP_CANCELLED);
    assert_true(r.generated.n_tokens < 100);
    assert_int_equal(sto_conversation_count(chat.c), 2);
    assert_string_equal(sto_conversation_field(chat.c, 1, "content"), heard.text);
    sto_reply_free(&r);
    /* Cancelled before anything was said: there is no message. */
    say(chat.c, "Hello!");
    p = params(&heard, 100);
    sto_conversation_cancel(chat.c);
    reply(chat.c, &p, &r);
    assert_int_equal(heard.stop, STO_STOP_CANCELLED);
    assert_int_equal(r.generated.n_tokens, 0);
    assert_int_equal(sto_conversation_count(chat.c), 3);
    sto_reply_free(&r);
    p = params(&heard, 4);
    reply(chat.c, &p, &r);
    assert_int_equal(sto_conversation_count(chat.c), 4);
    sto_reply_free(&r);
    close_chat(&chat);
}

static void stop_strings_end_the_answer(void **state)
{
    (void)state;
    static const char *const stops[] = {" = "};
    struct chat chat;
    struct heard heard;
    struct sto_reply r;
    open_chat(&chat, 512, NULL);
    say(chat.c, "What is 3 + 4?");
    struct sto_reply_params p = params(&heard, 30);
    p.stops = stops;
    p.n_stops = 1;
    reply(chat.c, &p, &r);
    assert_int_equal(heard.stop, STO_STOP_STRING);
    assert_string_equal(heard.text, "3 + 4");
    assert_string_equal(r.generated.text, "3 + 4");
    assert_string_equal(sto_conversation_field(chat.c, 1, "content"), "3 + 4");
    sto_reply_free(&r);
    close_chat(&chat);
}

/* ---- thoughts ---- */

static const char OPENS_THOUGHT[] =
    "{% for m in messages %}{{ '<|im_start|>' ~ m.role ~ '\\n' ~ m.content ~ '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n<think>\\n' }}{% endif %}";

static void thoughts_have_a_budget(void **state)
{
    (void)state;
    static const char said[] = " TIME IS UP";
    struct chat chat;
    struct heard heard;
    struct sto_reply r;
    open_chat(&chat, 512, OPENS_THOUGHT);
    say(chat.c, "Tell me about a fox.");
    struct sto_reply_params p = params(&heard, 80);
    p.thinking_budget = 6;
    p.budget_text = said;
    reply(chat.c, &p, &r);
    assert_non_null(strstr(heard.thought, said));
    assert_string_equal(strstr(heard.thought, said), " TIME IS UP\n");
    assert_non_null(strstr(r.generated.text, " TIME IS UP\n</think>\n\n"));
    assert_string_equal(sto_conversation_field(chat.c, 1, "reasoning_content"), heard.thought);
    assert_string_equal(sto_conversation_field(chat.c, 1, "content"), heard.text);
    assert_null(strstr(heard.text, "think>"));
    assert_true(r.n_thought >= 6);
    sto_reply_free(&r);
    /* The template leaves out thoughts of earlier turns: what is in common ends before this one. */
    say(chat.c, "Hello!");
    p = params(&heard, 4);
    reply(chat.c, &p, &r);
    assert_true(r.n_evaluated < r.generated.n_prompt_tokens);
    sto_reply_free(&r);
    close_chat(&chat);
}

static void thinking_can_be_off(void **state)
{
    (void)state;
    struct chat chat;
    struct heard heard;
    struct sto_reply r;
    open_chat(&chat, 512, OPENS_THOUGHT);
    say(chat.c, "What is 3 + 4?");
    struct sto_reply_params p = params(&heard, 30);
    p.thinking = STO_THINKING_OFF;
    reply(chat.c, &p, &r);
    assert_int_equal(heard.n_thought, 0);
    assert_int_equal(r.n_thought, 0);
    assert_true(heard.n_text > 0);
    assert_null(sto_conversation_field(chat.c, 1, "reasoning_content"));
    sto_conversation_truncate(chat.c, 1);
    sto_reply_free(&r);
    p = params(&heard, 30); /* as the template has it: everything is a thought, as the model never closes it */
    reply(chat.c, &p, &r);
    assert_true(heard.n_thought > 0);
    sto_reply_free(&r);
    close_chat(&chat);
}

/* ---- tools ---- */

static void tools_are_completed_and_come_back(void **state)
{
    (void)state;
    static const char bare[] = "[{\"name\": \"f\", \"parameters\": {}}, {\"type\": \"search\"}]";
    static const char whole[] = "[{\"type\": \"function\", \"function\": {\"name\": \"f\", \"parameters\": {}}}, "
                                "{\"type\": \"search\"}]";
    struct chat chat;
    struct sto_error err;
    char *json = NULL;
    open_chat(&chat, 512, NULL);
    assert_false(sto_conversation_knows_calls(chat.c));
    assert_int_equal(sto_conversation_tools(chat.c, &json, &err), STO_OK);
    assert_null(json);
    for (int i = 0; i < 2; i++) { /* what comes back can be given again */
        assert_int_equal(sto_conversation_set_tools(chat.c, i == 0 ? bare : whole, strlen(i == 0 ? bare : whole), &err),
                         STO_OK);
        assert_int_equal(sto_conversation_tools(chat.c, &json, &err), STO_OK);
        assert_string_equal(json, whole);
        sto_conversation_free_text(json);
    }
    assert_int_equal(sto_conversation_set_tools(chat.c, "{}", 2, &err), STO_ERR_USAGE);
    assert_int_equal(sto_conversation_set_tools(chat.c, "[{}, 1]", 7, &err), STO_ERR_USAGE);
    assert_non_null(strstr(err.message, "tool 1 is integer"));
    assert_int_equal(sto_conversation_set_tools(chat.c, "[", 1, &err), STO_ERR_USAGE);
    assert_int_equal(sto_conversation_tools(chat.c, &json, &err), STO_OK);
    assert_string_equal(json, whole); /* errors have changed nothing */
    sto_conversation_free_text(json);
    assert_int_equal(sto_conversation_set_tools(chat.c, NULL, 0, &err), STO_OK);
    assert_int_equal(sto_conversation_tools(chat.c, &json, &err), STO_OK);
    assert_null(json);
    close_chat(&chat);
}

/* ---- errors ---- */

static void errors_change_nothing(void **state)
{
    (void)state;
    static char text[16384];
    struct chat chat;
    struct heard heard;
    struct sto_reply r;
    struct sto_error err;
    open_chat(&chat, 512, "{{ raise_exception('only on Sundays') }}");
    struct sto_reply_params p = params(&heard, 4);
    assert_int_equal(sto_conversation_reply(chat.c, &p, &r, &err), STO_ERR_USAGE);
    assert_non_null(strstr(err.message, "no message"));
    sto_reply_free(&r);
    say(chat.c, "Hello!");
    assert_int_equal(sto_conversation_reply(chat.c, &p, &r, &err), STO_ERR_USAGE);
    assert_non_null(strstr(err.message, "only on Sundays"));
    sto_reply_free(&r);
    assert_int_equal(sto_conversation_count(chat.c), 1);
    assert_int_equal(sto_conversation_add_json(chat.c, "[]", 2, &err), STO_ERR_USAGE);
    assert_int_equal(sto_conversation_add_json(chat.c, "{}", 2, &err), STO_ERR_USAGE);
    assert_int_equal(sto_conversation_add_json(chat.c, "{\"role\": 1}", 11, &err), STO_ERR_USAGE);
    assert_int_equal(sto_conversation_add_json(chat.c, "{", 1, &err), STO_ERR_USAGE);
    assert_int_equal(sto_conversation_count(chat.c), 1);
    assert_null(sto_conversation_field(chat.c, 1, "role"));
    close_chat(&chat);

    open_chat(&chat, 512, NULL);
    long_message(text, sizeof text, 100);
    say(chat.c, "Hello!");
    say(chat.c, text);
    p = params(&heard, 4);
    assert_int_equal(sto_conversation_reply(chat.c, &p, &r, &err), STO_ERR_USAGE);
    assert_non_null(strstr(err.message, "the context has room for 511"));
    sto_reply_free(&r);
    assert_int_equal(sto_conversation_dropped(chat.c), 0);
    close_chat(&chat);
}

static int open_device(void **state)
{
    (void)state;
    const struct sto_device_params p = {.cache_dir = ""};
    struct sto_error err = {0};
    if (sto_device_open(&p, NULL, &device, &err) != STO_OK)
        fail_msg("no device: %s", err.message);
    return 0;
}

static int close_device(void **state)
{
    (void)state;
    sto_device_close(device);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_second_turn_evaluates_only_its_own),
        cmocka_unit_test(what_is_kept_changes_nothing),
        cmocka_unit_test(a_models_own_tokens_are_kept),
        cmocka_unit_test(a_full_context_loses_its_oldest_turns),
        cmocka_unit_test(a_cancelled_reply_is_kept),
        cmocka_unit_test(stop_strings_end_the_answer),
        cmocka_unit_test(thoughts_have_a_budget),
        cmocka_unit_test(thinking_can_be_off),
        cmocka_unit_test(tools_are_completed_and_come_back),
        cmocka_unit_test(errors_change_nothing),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
