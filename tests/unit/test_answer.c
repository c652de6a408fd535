/* Thoughts, answers and calls out of a stream: what each form gives, the same for every way of cutting the stream, and
 * nothing held back that is longer than a marker. Expected values are written by hand from the models' templates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host/answer.h"
#include "host/json.h"
#include "runtime/base/mem.h"

#define BAR "\xef\xbd\x9c"
#define LOW "\xe2\x96\x81"
#define DS(what) "<" BAR "tool" LOW what BAR ">"

enum { MOST = 8192 };

/* Events as text: runs of one kind joined. R(thought) T(text) C0 name{"a": 1} */
struct seen {
    char text[MOST];
    size_t n;
    enum sto_event_kind last;
};

static void note(struct seen *s, const char *text, size_t size)
{
    assert_true(s->n + size < MOST);
    memcpy(s->text + s->n, text, size);
    s->n += size;
    s->text[s->n] = '\0';
}

static bool on_event(void *user, const struct sto_event *e)
{
    struct seen *s = user;
    char head[32];
    if (e->kind == STO_EVENT_TOOL_CALL) {
        (void)snprintf(head, sizeof head, "|C%zu ", e->n);
        note(s, head, strlen(head));
        note(s, e->call.name, strlen(e->call.name));
        note(s, e->call.arguments, strlen(e->call.arguments));
    } else {
        assert_true(e->size > 0);
        if (s->n == 0 || s->last != e->kind)
            note(s, e->kind == STO_EVENT_REASONING ? "|R " : "|T ", 3);
        note(s, e->text, e->size);
    }
    s->last = e->kind;
    return false;
}

struct form {
    const char *reasoning; /* what a template holds       */
    const char *format;    /* of tools; NULL: none        */
    bool in_thought;
    const char *tools; /* JSON; NULL: undefined       */
};

static void begin(struct sto_answer *a, const struct form *form, struct sto_arena *arena, struct seen *seen)
{
    const struct sto_view source = {form->reasoning, strlen(form->reasoning)};
    struct sto_answer_params p = {
        .reasoning = sto_reasoning_find(source), .in_thought = form->in_thought, .user = seen, .on_event = on_event};
    if (form->format != NULL) {
        p.tool_format = sto_tool_format_named(form->format);
        assert_non_null(p.tool_format);
    }
    if (form->tools != NULL)
        assert_int_equal(sto_json_read(arena, form->tools, strlen(form->tools), &p.tools, NULL), STO_OK);
    *seen = (struct seen){0};
    assert_int_equal(sto_answer_init(a, &p, NULL), STO_OK);
}

/* What may wait: the beginning of a marker; else a call, its announcement or a header is under way. */
static void check_held(const struct sto_answer *a)
{
    const size_t held = a->size - a->pos;
    if (a->mode == STO_HARMONY_HEADER)
        assert_true(held <= STO_MAX_HEADER_BYTES);
    else if (a->mode != STO_ANSWER_CALL && !(a->mode == STO_HARMONY_BODY && a->channel == STO_EVENT_TOOL_CALL))
        assert_true(held < STO_MAX_MARKER_BYTES);
}

/* Feeds the text in pieces; bit i of `cuts` (mod 64) says whether one ends behind byte i. */
static void feed(const struct form *form, const char *text, size_t size, uint64_t cuts, struct seen *seen)
{
    struct sto_answer a;
    struct sto_arena arena = {0};
    size_t from = 0;
    begin(&a, form, &arena, seen);
    for (size_t i = 0; i < size; i++) {
        if ((cuts >> (i % 64) & 1) == 0)
            continue;
        assert_int_equal(sto_answer_add(&a, text + from, i + 1 - from, NULL), STO_OK);
        from = i + 1;
        check_held(&a);
    }
    assert_int_equal(sto_answer_add(&a, text + from, size - from, NULL), STO_OK);
    sto_answer_finish(&a);
    assert_int_equal(a.size, a.pos);
    sto_answer_free(&a);
    sto_arena_free(&arena);
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void check(const struct form *form, const char *text, const char *expected)
{
    struct seen whole, pieces;
    uint64_t state = 0x9e3779b97f4a7c15u;
    const size_t size = strlen(text);
    feed(form, text, size, 0, &whole);
    assert_string_equal(whole.text, expected);
    feed(form, text, size, UINT64_MAX, &pieces);
    assert_string_equal(pieces.text, expected);
    for (int i = 0; i < 200; i++) {
        uint64_t cuts = next_random(&state);
        if (i % 2 == 0)
            cuts &= next_random(&state) & next_random(&state);
        feed(form, text, size, cuts, &pieces);
        assert_string_equal(pieces.text, expected);
    }
}

/* ---- thoughts ---- */

static void thoughts_and_answers(void **state)
{
    (void)state;
    const struct form think = {.reasoning = "<think>"}, opened = {.reasoning = "<think>", .in_thought = true};
    const struct form none = {.reasoning = ""};
    check(&think, "<think>\nfoxes?\n</think>\n\nFoxes run.", "|R foxes?\n|T Foxes run.");
    check(&think, "\n\n<think>a</think>b", "|R a|T b");
    check(&think, "No thought <think>here</think>.", "|T No thought <think>here</think>.");
    check(&think, "  indented", "|T   indented");
    check(&think, "<think>\n\n</think>\n\nHello", "|T Hello");
    check(&think, "<think>never ends </thin", "|R never ends </thin");
    check(&think, "<thin", "|T <thin");
    check(&think, "<think>a</thinkers></think>b", "|R a</thinkers>|T b");
    check(&think, "", "");
    check(&opened, "still thinking</think>done", "|R still thinking|T done");
    check(&opened, "<think>\nsaid twice</think>done", "|R said twice|T done");
    check(&opened, "\n</think>\n\nHello", "|T Hello");
    check(&none, "<think>a</think>b", "|R a|T b"); /* what a model without a mention may still do */
}

static void other_markers(void **state)
{
    (void)state;
    const struct form seed = {.reasoning = "<seed:think>"}, mistral = {.reasoning = "[THINK]"};
    const struct form command = {.reasoning = "<|START_THINKING|>"}, gemma = {.reasoning = "<|channel>thought"};
    const struct form granite = {.reasoning = "<think></think> and <response></response>"};
    const struct form apriel = {.reasoning = "[BEGIN FINAL RESPONSE]", .in_thought = true};
    check(&seed, "<seed:think>hm</seed:think>ok", "|R hm|T ok");
    check(&seed, "<think>hm</think>ok", "|T <think>hm</think>ok");
    check(&mistral, "[THINK]hm[/THINK]ok [THINK]more[/THINK]end", "|R hm|T ok |R more|T end");
    check(&command, "<|START_THINKING|>hm<|END_THINKING|><|START_RESPONSE|>ok<|END_RESPONSE|>", "|R hm|T ok");
    check(&gemma, "<|channel>thought\nhm\n<channel|>ok", "|R hm\n|T ok");
    check(&gemma, "<|channel>thought\n<channel|>ok", "|T ok");
    check(&granite, "<think>hm</think><response>ok</response>", "|R hm|T ok");
    check(&apriel, "first, then\n[BEGIN FINAL RESPONSE]\nok\n[END FINAL RESPONSE]\n", "|R first, then\n|T ok\n");
}

static void harmony(void **state)
{
    (void)state;
    const struct form f = {.reasoning = "<|channel|>analysis<|message|>"};
    check(&f, "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>ok<|return|>",
          "|R hm|T ok");
    check(&f, "<|channel|>final<|message|>ok", "|T ok");
    check(&f, "just text", "|T just text");
    check(&f, " text with a blank", "|T  text with a blank");
    check(&f,
          "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>commentary to=functions.get_weather "
          "<|constrain|>json<|message|>{\"city\":\"Oslo\"}<|call|>",
          "|R hm|C0 get_weather{\"city\": \"Oslo\"}");
    check(&f, " to=functions.a<|channel|>commentary json<|message|>{}<|call|>", "|C0 a{}");
    check(&f,
          "<|channel|>commentary<|message|>I will look.<|end|><|start|>assistant<|channel|>commentary "
          "to=functions.f<|message|>{\"a\":1}",
          "|T I will look.|C0 f{\"a\": 1}");
    check(&f, "<|channel|>commentary to=functions.f<|message|>{oops<|call|>",
          "|T <|channel|>commentary to=functions.f<|message|>{oops");
    check(&f, "<|channel|>analysis no message", "|T <|channel|>analysis no message");
}

static void headers_have_a_limit(void **state)
{
    (void)state;
    const struct form f = {.reasoning = "<|channel|>analysis<|message|>"};
    char text[1024], expected[1040];
    (void)snprintf(text, sizeof text, "<|channel|>%0600d<|message|>x", 7);
    (void)snprintf(expected, sizeof expected, "|T %s", text);
    check(&f, text, expected);
}

/* ---- calls ---- */

static const char WEATHER[] =
    "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\","
    "\"properties\":{\"zip\":{\"type\":\"string\"},\"n\":{\"type\":\"integer\"}}}}}]";

static void tagged_calls(void **state)
{
    (void)state;
    const struct form f = {.reasoning = "<think>", .format = "hermes", .tools = WEATHER};
    check(&f, "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": [1, \"x\"]}}\n</tool_call>",
          "|C0 f{\"a\": [1, \"x\"]}");
    check(&f,
          "<think>hm</think>\n\nLook:\n<tool_call>{\"name\":\"a\",\"arguments\":{}}</tool_call>\n"
          "<tool_call>{\"name\":\"b\"}</tool_call>\nend",
          "|R hm|T Look:\n|C0 a{}|C1 b{}|T end");
    check(&f, "<tool_call>{\"name\":\"f\",\"arguments\":{\"t\":\"</tool_call>\"}}</tool_call>",
          "|C0 f{\"t\": \"</tool_call>\"}");
    check(&f, "<tool_call>{\"name\":\"f\",\"arguments\":\"{\\\"a\\\": 1}\"}</tool_call>", "|C0 f{\"a\": 1}");
    check(&f, "<tool_call>{\"name\":\"f\",\"arguments\":{}}", "|C0 f{}"); /* ended where the marker should be */
    check(&f,
          "<tool_call>\n<function=f>\n<parameter=zip>\n0150\n</parameter>\n<parameter=n>\n3\n</parameter>\n"
          "<parameter=other>\n{\"k\": 1}\n</parameter>\n</function>\n</tool_call>",
          "|C0 f{\"zip\": \"0150\", \"n\": 3, \"other\": {\"k\": 1}}");
    check(&f,
          "<tool_call>f\n<arg_key>zip</arg_key>\n<arg_value>150</arg_value>\n<arg_key>n</arg_key>\n"
          "<arg_value>2</arg_value>\n</tool_call>",
          "|C0 f{\"zip\": \"150\", \"n\": 2}");
    check(&f, "<tool_call>f\n</tool_call>", "|C0 f{}");
    const struct form seed = {.reasoning = "<seed:think>", .format = "seed"};
    check(&seed, "<seed:tool_call>\n<function=g>\n<parameter=a>x</parameter>\n</function>\n</seed:tool_call>",
          "|C0 g{\"a\": \"x\"}");
}

static void malformed_calls_are_text(void **state)
{
    (void)state;
    const struct form f = {.reasoning = "<think>", .format = "hermes"};
    static const char *const texts[] = {
        "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": 1}</tool_call> and on",
        "<tool_call>{\"name\": \"f\", \"arguments\": [1]}</tool_call>",
        "<tool_call>{\"arguments\": {}}</tool_call>",
        "<tool_call></tool_call>",
        "<tool_call>{\"name\": \"f\"",
        "<tool_call>two words\n</tool_call>",
        "<tool_call>{\"name\": \"f\nraw\"}</tool_call>x",
        "<tool_call><function=f><parameter=a>1</function></tool_call>",
        "<tool_call>f<arg_key>a</arg_key></tool_call>",
        "<tool_cal",
        "a </tool_call> b",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char expected[256];
        (void)snprintf(expected, sizeof expected, "|T %s", texts[i]);
        check(&f, texts[i], expected);
    }
    check(&f, "<tool_call>x y</tool_call><tool_call>{\"name\":\"f\"}</tool_call>",
          "|T <tool_call>x y</tool_call>|C0 f{}");
}

static void without_tools_nothing_is_a_call(void **state)
{
    (void)state;
    const struct form f = {.reasoning = "<think>"};
    check(&f, "<tool_call>{\"name\":\"f\"}</tool_call>", "|T <tool_call>{\"name\":\"f\"}</tool_call>");
}

static void mistral_calls(void **state)
{
    (void)state;
    const struct form f = {.reasoning = "", .format = "mistral"};
    check(&f,
          "[TOOL_CALLS][{\"name\": \"a\", \"arguments\": {\"x\": \"]\"}, \"id\": \"abcdefghi\"}, "
          "{\"name\": \"b\", \"arguments\": {}}]",
          "|C0 a{\"x\": \"]\"}|C1 b{}");
    check(&f, "Hm.[TOOL_CALLS]a[ARGS]{\"x\": {\"y\": 1}}[TOOL_CALLS]b[CALL_ID]abcdefghi[ARGS]{}",
          "|T Hm.|C0 a{\"x\": {\"y\": 1}}|C1 b{}");
    check(&f, "[TOOL_CALLS]a, not a call", "|T [TOOL_CALLS]a, not a call");
    check(&f, "[TOOL_CALLS][{\"name\": 1}]", "|T [TOOL_CALLS][{\"name\": 1}]");
    check(&f, "[TOOL_CALLS][{\"name\":", "|T [TOOL_CALLS][{\"name\":");
}

static void deepseek_calls(void **state)
{
    (void)state;
    const struct form f = {.reasoning = "<think>", .format = "deepseek", .in_thought = true};
    check(&f,
          "hm</think>" DS("calls" LOW "begin") DS("call" LOW "begin") "function" DS(
              "sep") "get\n```json\n"
                     "{\"a\": \"```\"}\n```" DS("call" LOW "end") "\n" DS("call" LOW "begin") "function" DS(
                         "sep") "two\n```json\n{}\n```" DS("call" LOW "end") DS("calls" LOW "end"),
          "|R hm|C0 get{\"a\": \"```\"}|C1 two{}");
    check(&f,
          "</think>" DS("calls" LOW "begin") DS("call" LOW "begin") "get" DS("sep") "{\"a\":1}" DS("call" LOW "end")
              DS("calls" LOW "end") "\ntext",
          "|C0 get{\"a\": 1}|T text");
    check(&f, "</think>" DS("calls" LOW "begin") "nothing", "|T " DS("calls" LOW "begin") "nothing");
    check(&f, "</think>" DS("calls" LOW "begin") DS("call" LOW "begin") "x" DS("call" LOW "end") DS("calls" LOW "end"),
          "|T " DS("calls" LOW "begin") DS("call" LOW "begin") "x" DS("call" LOW "end") DS("calls" LOW "end"));
    const struct form dsml = {.reasoning = "<think>", .format = "dsml"};
    check(&dsml,
          "\n\n<" BAR "DSML" BAR "tool_calls>\n<" BAR "DSML" BAR "invoke name=\"f\">\n<" BAR "DSML" BAR
          "parameter name=\"a\" string=\"true\">1</" BAR "DSML" BAR "parameter>\n<" BAR "DSML" BAR
          "parameter name=\"b\" string=\"false\">1</" BAR "DSML" BAR "parameter>\n</" BAR "DSML" BAR "invoke>\n</" BAR
          "DSML" BAR "tool_calls>",
          "|T \n\n|C0 f{\"a\": \"1\", \"b\": 1}");
}

static void llama_calls(void **state)
{
    (void)state;
    const struct form f = {.reasoning = "", .format = "llama3"};
    check(&f, "{\"name\": \"f\", \"parameters\": {\"a\": \"}\"}}", "|C0 f{\"a\": \"}\"}");
    check(&f, "\n{ \"name\": \"f\", \"parameters\": {}}; {\"name\": \"g\", \"parameters\": {}}", "|C0 f{}|C1 g{}");
    check(&f, "<|python_tag|>{\"name\": \"f\", \"parameters\": {}}", "|C0 f{}");
    check(&f, "<|python_tag|>brave_search.call(query=\"a, \\\"b\\\" (c)\", n=3, all=True)",
          "|C0 brave_search{\"query\": \"a, \\\"b\\\" (c)\", \"n\": 3, \"all\": true}");
    check(&f, "<|python_tag|>print(1)\nprint(2)", "|T <|python_tag|>print(1)\nprint(2)");
    check(&f, "{\"name\": \"Ada\", \"age\": 3} is JSON", "|T {\"name\": \"Ada\", \"age\": 3} is JSON");
    check(&f, "{\"age\": 3}", "|T {\"age\": 3}");
    check(&f, "Here: {\"name\": \"f\", \"parameters\": {}}", "|T Here: {\"name\": \"f\", \"parameters\": {}}");
    check(&f, "{\"name\": \"f\", \"parameters\": {", "|T {\"name\": \"f\", \"parameters\": {");
}

static void gemma_calls(void **state)
{
    (void)state;
    const struct form f = {.reasoning = "<|channel>thought", .format = "gemma"};
    check(&f,
          "<|channel>thought\nhm<channel|><|tool_call>call:f{city:<|\"|>Oslo, {x}<|\"|>,days:3,deep:{a:[1,"
          "<|\"|>b<|\"|>],ok:true}}<tool_call|>",
          "|R hm|C0 f{\"city\": \"Oslo, {x}\", \"days\": 3, \"deep\": {\"a\": [1, \"b\"], \"ok\": true}}");
    check(&f, "<|tool_call>call:f{}<tool_call|><|tool_call>call:g{a:1}<tool_call|>", "|C0 f{}|C1 g{\"a\": 1}");
    check(&f, "<|tool_call>call:f{a:<tool_call|>", "|T <|tool_call>call:f{a:<tool_call|>");
    check(&f, "<|tool_call>call:f{a:1}}<tool_call|>", "|T <|tool_call>call:f{a:1}}<tool_call|>");
}

static void further_calls(void **state)
{
    (void)state;
    const struct form kimi = {.reasoning = "", .format = "kimi"}, command = {.reasoning = "", .format = "command-r"};
    const struct form granite = {.reasoning = "", .format = "granite"},
                      function = {.reasoning = "", .format = "function"};
    check(&kimi,
          "ok<|tool_calls_section_begin|><|tool_call_begin|>functions.get_it:0<|tool_call_argument_begin|>"
          "{\"a\":1}<|tool_call_end|><|tool_calls_section_end|>",
          "|T ok|C0 get_it{\"a\": 1}");
    check(&command,
          "<|START_ACTION|>[\n{\"tool_call_id\": \"0\", \"tool_name\": \"f\", \"parameters\": {\"a\": 1}}\n]"
          "<|END_ACTION|>",
          "|C0 f{\"a\": 1}");
    check(&granite, "<|tool_call|>[{\"name\": \"f\", \"arguments\": {}}]", "|C0 f{}");
    check(&function, "<function=f>{\"a\": 1}</function>", "|C0 f{\"a\": 1}");
}

/* ---- all cuts, and long streams ---- */

static void every_cut_of_short_streams(void **state)
{
    (void)state;
    const struct form f = {.reasoning = "[THINK]", .format = "mistral"};
    static const char *const texts[] = {"[THINK]a[/THINK]", "[[THINK]x[/THI", "[THINK][THINK]b",
                                        "[TOOL_CALLS]a{}",  "[T[TH[/THINK]",  " [THINK] c"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const size_t size = strlen(texts[i]);
        struct seen whole, pieces;
        feed(&f, texts[i], size, 0, &whole);
        for (uint64_t cuts = 1; cuts < (uint64_t)1 << (size - 1); cuts++) {
            feed(&f, texts[i], size, cuts, &pieces);
            assert_string_equal(pieces.text, whole.text);
        }
    }
}

/* Streams made of pieces of markers and of text, in random order. */
static void random_streams_in_random_pieces(void **state)
{
    (void)state;
    static const struct form forms[] = {
        {.reasoning = "<think>", .format = "hermes"},
        {.reasoning = "<think>", .format = "deepseek"},
        {.reasoning = "", .format = "llama3"},
        {.reasoning = "[THINK]", .format = "mistral"},
        {.reasoning = "<|channel|>analysis<|message|>"},
        {.reasoning = "<|channel>thought", .format = "gemma"},
        {.reasoning = "<|START_THINKING|>", .format = "command-r"},
        {.reasoning = "", .format = "kimi"},
    };
    static const char *const bits[] = {"<think>",
                                       "</think>",
                                       "<tool_call>",
                                       "</tool_call>",
                                       "{\"name\": \"f\", ",
                                       "\"arguments\": {",
                                       "}",
                                       "}}",
                                       "[",
                                       "]",
                                       "\"",
                                       "\n",
                                       " ",
                                       "a",
                                       "<",
                                       "<|",
                                       "[TOOL_CALLS]",
                                       "[ARGS]",
                                       "[THINK]",
                                       "[/THINK]",
                                       "<|channel|>",
                                       "<|message|>",
                                       "<|start|>",
                                       "<|end|>",
                                       " to=functions.g",
                                       "analysis",
                                       DS("calls" LOW "begin"),
                                       DS("call" LOW "begin"),
                                       DS("call" LOW "end"),
                                       DS("calls" LOW "end"),
                                       DS("sep"),
                                       "<|channel>thought",
                                       "<channel|>",
                                       "<|tool_call>call:f{",
                                       "<tool_call|>",
                                       "<|START_ACTION|>",
                                       "<|END_ACTION|>",
                                       "\"parameters\": {}}",
                                       "<|python_tag|>",
                                       "<|tool_call_begin|>",
                                       "<|tool_calls_section_begin|>",
                                       "functions.f:0",
                                       "\xe2\x82\xac"};
    uint64_t random = 0x123456789abcdefu;
    for (int i = 0; i < 4000; i++) {
        char text[1024] = "";
        size_t n = 0;
        struct seen whole, pieces;
        const struct form *f = &forms[next_random(&random) % (sizeof forms / sizeof forms[0])];
        for (size_t k = next_random(&random) % 14; k > 0; k--) {
            const char *bit = bits[next_random(&random) % (sizeof bits / sizeof bits[0])];
            memcpy(text + n, bit, strlen(bit));
            n += strlen(bit);
        }
        feed(f, text, n, 0, &whole);
        for (int k = 0; k < 3; k++) {
            feed(f, text, n, k == 0 ? UINT64_MAX : next_random(&random) & next_random(&random), &pieces);
            if (strcmp(pieces.text, whole.text) != 0)
                fail_msg("%.*s\nwhole:  %s\npieces: %s", (int)n, text, whole.text, pieces.text);
        }
    }
}

static void calls_have_a_limit(void **state)
{
    (void)state;
    const struct form f = {.reasoning = "", .format = "hermes"};
    const size_t size = STO_MAX_CALL_BYTES + 4096;
    char *text = malloc(size + 1);
    struct sto_answer a;
    struct seen seen;
    struct sto_arena arena = {0};
    assert_non_null(text);
    memset(text, 'x', size);
    memcpy(text, "<tool_call>", 11);
    begin(&a, &f, &arena, &seen);
    a.params.on_event = NULL;
    for (size_t at = 0; at < size; at += 1000)
        assert_int_equal(sto_answer_add(&a, text + at, size - at < 1000 ? size - at : 1000, NULL), STO_OK);
    assert_int_equal(a.mode, STO_ANSWER_TEXT);
    assert_int_equal(a.pos, a.size);
    sto_answer_free(&a);
    free(text);
}

static void no_more_events_after_a_stop(void **state)
{
    (void)state;
    const struct form f = {.reasoning = "<think>"};
    struct sto_answer a;
    struct seen seen;
    struct sto_arena arena = {0};
    begin(&a, &f, &arena, &seen);
    a.stopped = true;
    assert_int_equal(sto_answer_add(&a, "<think>a</think>b", 17, NULL), STO_OK);
    sto_answer_finish(&a);
    assert_int_equal(seen.n, 0);
    sto_answer_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thoughts_and_answers),
        cmocka_unit_test(other_markers),
        cmocka_unit_test(harmony),
        cmocka_unit_test(headers_have_a_limit),
        cmocka_unit_test(tagged_calls),
        cmocka_unit_test(malformed_calls_are_text),
        cmocka_unit_test(without_tools_nothing_is_a_call),
        cmocka_unit_test(mistral_calls),
        cmocka_unit_test(deepseek_calls),
        cmocka_unit_test(llama_calls),
        cmocka_unit_test(gemma_calls),
        cmocka_unit_test(further_calls),
        cmocka_unit_test(every_cut_of_short_streams),
        cmocka_unit_test(random_streams_in_random_pieces),
        cmocka_unit_test(calls_have_a_limit),
        cmocka_unit_test(no_more_events_after_a_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
