/* The template language by itself. Expected texts follow from the template designer documentation of Jinja 3.1 and, for
 * values, from Python's rules; the environment is that of transformers (trim_blocks, lstrip_blocks). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host/json.h"
#include "host/template.h"
#include "runtime/base/mem.h"

/* Variables of every test. */
static const char variables[] =
    "{\"t\": \"a<b>\", \"n\": 7, \"f\": 2.5, \"yes\": true, \"no\": null, \"l\": [3, 1, 2], \"e\": [], \"w\": \" x y "
    "\\n\","
    " \"d\": {\"b\": 1, \"a\": {\"k\": \"v\"}, \"items\": 5}, \"u\": \"\\u00e9a\\u4f60\","
    " \"p\": [{\"r\": \"x\", \"v\": 1}, {\"r\": \"y\", \"v\": 2}, {\"r\": \"x\", \"v\": 3}]}";

struct example {
    const char *source, *expected;
};

/* Renders with the variables; *out is to be freed whatever comes. */
static enum sto_status render(const char *source, uint64_t max_steps, struct sto_rendering *out, struct sto_error *err)
{
    struct sto_arena arena = {0};
    struct sto_template *t;
    struct sto_template_input input = {.now = 1768478400, .max_steps = max_steps};
    *out = (struct sto_rendering){0};
    assert_int_equal(sto_json_read(&arena, variables, strlen(variables), &input.extra, NULL), STO_OK);
    enum sto_status status = sto_template_create(source, strlen(source), &t, err);
    if (status == STO_OK)
        status = sto_template_render(t, &input, out, err);
    sto_template_destroy(t);
    sto_arena_free(&arena);
    return status;
}

static void check(const struct example *examples, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct sto_rendering out;
        struct sto_error err = {0};
        if (render(examples[i].source, 0, &out, &err) != STO_OK)
            fail_msg("%s: %s", examples[i].source, err.message);
        if (strcmp(out.text, examples[i].expected) != 0)
            fail_msg("%s gives '%s', not '%s'", examples[i].source, out.text, examples[i].expected);
        sto_rendering_free(&out);
    }
}

#define CHECK(...)                                                                                                     \
    do {                                                                                                               \
        static const struct example examples[] = {__VA_ARGS__};                                                        \
        check(examples, sizeof examples / sizeof *examples);                                                           \
    } while (0)

static void white_space_is_controlled(void **state)
{
    (void)state;
    CHECK({"a\n", "a"}, {"a\n\n", "a\n"}, {"a\r\nb\rc", "a\nb\nc"},  /* line ends; the last one goes  */
          {"{% if 1 %}\nx\n{% endif %}\ny", "x\ny"},                 /* trim_blocks                   */
          {"a\n  {% if 1 %}\nx\n  {% endif %}\nb", "a\nx\nb"},       /* lstrip_blocks                 */
          {"a  {% if 1 %}x{% endif %}", "a  x"},                     /* not the first on its line     */
          {"{% if 1 %}  {% endif %}", "  "}, {"  {{ 1 }}\n", "  1"}, /* outputs are not stripped      */
          {"a \n {%- if 1 -%} \n x {%- endif %} b", "ax b"}, {"a {{- 1 -}} b", "a1b"},
          {"  {%+ if 1 %}x{% endif %}", "  x"}, {"{% if 1 +%}\nx{% endif %}", "\nx"}, {"a {# c #}\nb", "a b"},
          {"a\n  {# c #}\nb", "a\nb"}, {"a {#- c -#} b", "ab"}, {"{# {{ x }} #}", ""},
          {"{% raw %}{{ x }}{% y %}{% endraw %}", "{{ x }}{% y %}"}, {"a {%- raw -%} b {%- endraw -%} c", "abc"},
          {"{{ {'a': {'b': 1}}['a']['b'] }}", "1"}, {"{ {", "{ {"}, {"{{ '}}' }}", "}}"});
}

static void expressions_bind_as_documented(void **state)
{
    (void)state;
    CHECK({"{{ 1 + 2 * 3 }}", "7"}, {"{{ (1 + 2) * 3 }}", "9"}, {"{{ 2 ** 3 ** 2 }}", "64"}, {"{{ -2 ** 2 }}", "4"},
          {"{{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 7 / 2 }}", "3 -4 1 2 3.5"},
          {"{{ '1' ~ 2 ~ 3.0 }}", "123.0"}, {"{{ 'a' + 'b' * 2 }}", "abb"}, {"{{ [1] + [2] * 2 }}", "[1, 2, 2]"},
          {"{{ not 1 == 2 }}", "True"}, {"{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }}", "True False"},
          {"{{ 1 in l and 5 not in l }}", "True"}, {"{{ 'b' in t }} {{ 'a' in d }} {{ 'z' in d }}", "True True False"},
          {"{{ 'x' if yes else 'y' }}{{ 'x' if no }}", "x"}, {"{{ no or 'z' }}{{ yes and 'w' }}", "zw"},
          {"{{ 1 if 0 else 2 if 0 else 3 }}", "3"}, {"{{ true and none is none }}", "True"}, {"{{ 'a' 'b' }}", "ab"},
          {"{{ 1, 2 }}", "(1, 2)"}, {"{{ () }} {{ (1,) }} {{ (1) }}", "() (1,) 1"},
          {"{{ 1_000 }} {{ 0x1f }} {{ 0b11 }} {{ 1e3 }} {{ 1.50 }}", "1000 31 3 1000.0 1.5"},
          {"{{ True }} {{ none }} {{ missing }}|", "True None |"}, {"{{ 1 == 1.0 }} {{ true == 1 }}", "True True"},
          {"{{ 'a\\n\\t\\'\\x41\\u00e9\\\\' }}", "a\n\t'A\u00e9\\"}, {"{{ -f }} {{ +n }}", "-2.5 7"},
          {"{{ 'abc' < 'abd' }} {{ [1, 2] < [1, 3] }}", "True True"}, {"{{ 10 | string ~ '!' }}", "10!"},
          {"{{ -1 | abs }}", "1"}, {"{{ -l[0] }}", "-3"}, {"{{ 5 is odd and 4 is not odd }}", "True"});
}

static void values_are_printed_as_in_python(void **state)
{
    (void)state;
    CHECK({"{{ d }}", "{'b': 1, 'a': {'k': 'v'}, 'items': 5}"},
          {"{{ [none, true, 'x', 1.0] }}", "[None, True, 'x', 1.0]"},
          {"{{ [\"it's\", 'a\"b', 'a\\n', '\\x00\\u00e9'] }}", "[\"it's\", 'a\"b', 'a\\n', '\\x00\u00e9']"},
          {"{{ 1e16 }} {{ 1e-5 }} {{ 0.1 }} {{ 1e15 }}", "1e+16 1e-05 0.1 1000000000000000.0"},
          {"{{ {2: 'a', none: 'b'}[2] }}", "a"}, {"{{ {1: 2} }} {{ {1: 2} | tojson }}", "{1: 2} {\"1\": 2}"},
          {"{{ d | tojson }}", "{\"b\": 1, \"a\": {\"k\": \"v\"}, \"items\": 5}"},
          {"{{ d.a | tojson(indent=2) }}", "{\n  \"k\": \"v\"\n}"}, {"{{ t | tojson }}", "\"a<b>\""},
          {"{{ d | tojson(sort_keys=true, separators=(',', ':')) }}", "{\"a\":{\"k\":\"v\"},\"b\":1,\"items\":5}"});
}

static void parts_are_found(void **state)
{
    (void)state;
    CHECK({"{{ d.b }} {{ d['b'] }} {{ d.a.k }} {{ d.z }}|", "1 1 v |"}, {"{{ l.0 }} {{ l[-1] }} {{ l[9] }}|", "3 2 |"},
          {"{{ d['items'] }} {{ d.items is callable }}", "5 True"}, /* a method comes before a key, with a dot */
          {"{{ l[1:] }} {{ l[:-1] }} {{ l[::-1] }} {{ l[::2] }}", "[1, 2] [3, 1] [2, 1, 3] [3, 2]"},
          {"{{ u[0] }}{{ u[-1] }} {{ u[1:] }} {{ u[::-1] }} {{ u | length }}", "\u00e9\u4f60 a\u4f60 \u4f60a\u00e9 3"},
          {"{{ l[5:] }} {{ l[-9:2] }} {{ 'abc'[2:1] }}|", "[] [3, 1] |"},
          {"{% for k in d %}{{ k }} {% endfor %}", "b a items "},
          {"{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}", "b=1;a={'k': 'v'};items=5;"},
          {"{{ d.get('b') }} {{ d.get('z') }} {{ d.get('z', 4) }} {{ d.keys() | list }}",
           "1 None 4 ['b', 'a', 'items']"});
}

static void loops_know_where_they_are(void **state)
{
    (void)state;
    CHECK(
        {"{% for x in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }} {% endfor %}",
         "1032 2121 3210 "},
        {"{% for x in l %}{{ loop.first }}{{ loop.last }}{{ loop.length }} {% endfor %}",
         "TrueFalse3 FalseFalse3 FalseTrue3 "},
        {"{% for x in l %}{{ loop.previtem }}<{{ x }}<{{ loop.nextitem }} {% endfor %}", "<3<1 3<1<2 1<2< "},
        {"{% for x in l %}{{ loop.cycle('a', 'b') }}{{ loop.changed(x > 1) }} {% endfor %}", "aTrue bTrue aTrue "},
        {"{% for x in e %}x{% else %}none{% endfor %}", "none"},
        {"{% for x in missing %}x{% else %}y{% endfor %}", "y"},
        {"{% for x in l if x > 1 %}{{ loop.index }}:{{ x }} {% endfor %}", "1:3 2:2 "},
        {"{% for x in l %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}", "32"},
        {"{% for x in l %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% endfor %}", "3"},
        {"{% for x in [1, [2, [3]]] recursive %}{{ loop.depth }}{% if x is iterable %}({{ loop(x) }})"
         "{% else %}{{ x }}{% endif %}{% endfor %}",
         "111(222(33))"},
        {"{% for x in range(3) %}{% for y in range(2) %}{{ x }}{{ y }} {% endfor %}{% endfor %}", "00 01 10 11 20 21 "},
        {"{{ range(5, 0, -2) | list }} {{ range(2) | list }}", "[5, 3, 1] [0, 1]"},
        {"{% set c = cycler(1, 2) %}{{ c.next() }}{{ c.next() }}{{ c.current }}{{ c.next() }}{% set j = joiner('+') "
         "%}{{ j() }}a{{ j() }}b",
         "1211a+b"});
}

static void scopes_end_where_documented(void **state)
{
    (void)state;
    CHECK({"{% set x = 1 %}{% for i in l %}{% set x = 2 %}{{ x }}{% endfor %}{{ x }}", "2221"},
          {"{% set x = 1 %}{% if yes %}{% set x = 2 %}{% endif %}{{ x }}", "2"},
          {"{% set ns = namespace(x=1) %}{% for i in l %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}", "7"},
          {"{% for i in [1, 2] %}{{ x }}{% set x = i %}{% endfor %}|", "|"},
          {"{% set a, b = 1, 2 %}{{ b }}{{ a }}", "21"},
          {"{% set x %}a{{ n }}{% endset %}{{ x }}{{ x | length }}", "a72"},
          {"{% set x | upper | trim %} ab {% endset %}{{ x }}", "AB"},
          {"{% with a = 1, b = n %}{{ a }}{{ b }}{% endwith %}{{ a }}", "17"},
          {"{% filter upper %}a{{ 'b' }}{% endfilter %}", "AB"}, {"{% generation %}{{ n }}{% endgeneration %}", "7"},
          {"{% set q = [] %}{% do q.append(1) %}{{ q }}", "[1]"});
}

static void macros_take_arguments(void **state)
{
    (void)state;
    CHECK(
        {"{% macro m(a, b=2, c='x') %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }} {{ m(1, c=3) }} {{ m(b=0, a=9) }}",
         "12x 123 90x"},
        {"{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, z=3) }}", "(1, 2){'z': 3}"},
        {"{% macro m(a) %}{{ a is defined }}{% endmacro %}{{ m() }}", "False"},
        {"{% macro m(a) %}[{{ caller(a) }}]{% endmacro %}{% call(x) m(4) %}c{{ x }}{% endcall %}", "[c4]"},
        {"{% macro f(i) %}{% if i > 0 %}{{ i }}{{ f(i - 1) }}{% endif %}{% endmacro %}{{ f(3) }}", "321"},
        {"{% set x = 1 %}{% macro m() %}{{ x }}{% endmacro %}{% set x = 2 %}{{ m() }}", "2"},
        {"{% macro m(a, b) %}{{ a }}{{ b }}{% endmacro %}{{ m(*[1], **{'b': 2}) }}", "12"});
}

static void filters_do_as_documented(void **state)
{
    (void)state;
    CHECK(
        {"{{ l | sort }}{{ l | sort(reverse=true) }}{{ ['b', 'A', 'c'] | sort }}", "[1, 2, 3][3, 2, 1]['A', 'b', 'c']"},
        {"{{ p | sort(attribute='r') | map(attribute='v') | list }}", "[1, 3, 2]"},
        {"{{ p | selectattr('r', 'equalto', 'x') | map(attribute='v') | join('+') }}", "1+3"},
        {"{{ p | rejectattr('r', 'eq', 'x') | list | length }}{{ p | selectattr('v') | list | length }}", "13"},
        {"{{ l | select('odd') | list }}{{ l | reject('odd') | list }}", "[3, 1][2]"},
        {"{{ ['a', 'b'] | map('upper') | join }}{{ l | map('string') | join('') }}", "AB312"},
        {"{% for k, v in p | groupby('r') %}{{ k }}{{ v | length }} {% endfor %}", "x2 y1 "},
        {"{{ d | dictsort | map('first') | list }}{{ {'b': 1, 'a': 2} | dictsort(by='value') | first }}",
         "['a', 'b', 'items']('b', 1)"},
        {"{{ l | first }}{{ l | last }}{{ l | max }}{{ l | min }}{{ l | sum }}{{ l | length }}", "323163"},
        {"{{ [1, 2, 1] | unique | list }}{{ l | reverse | list }}{{ 'abc' | reverse }}", "[1, 2][2, 1, 3]cba"},
        {"{{ l | batch(2, 0) | list }}{{ [1, 2, 3, 4, 5] | slice(2) | list }}", "[[3, 1], [2, 0]][[1, 2, 3], [4, 5]]"},
        {"{{ missing | default('x') }}{{ '' | default('y', true) }}{{ '' | default('z') }}", "xy"},
        {"{{ w | trim }}|{{ 'xxaxx' | trim('x') }}", "x y|a"}, {"{{ 'a b' | title }}{{ 'aB' | capitalize }}", "A BAb"},
        {"{{ 'aXbX' | replace('X', '-') }}{{ 'aaa' | replace('a', 'b', 2) }}", "a-b-bba"},
        {"{{ 'a\nb\n\nc' | indent }}|{{ 'a\nb' | indent(2, true) }}", "a\n    b\n\n    c|  a\n  b"},
        {"{{ '3.7' | float }} {{ '12' | int }} {{ 'x' | int(5) }} {{ 3.9 | int }} {{ 'ff' | int(0, 16) }}",
         "3.7 12 5 3 255"},
        {"{{ 2.345 | round(2, 'floor') }} {{ 2.5 | round }} {{ 3.5 | round }} {{ 3 | round }}", "2.34 2.0 4.0 3"},
        {"{{ t | e }} {{ t | upper }} {{ 'foo bar baz qux' | truncate(9, leeway=0) }}", "a&lt;b&gt; A<B> foo..."},
        {"{{ '%s-%05.1f|%3d' | format('a', 2.25, 7) }} {{ 'a b-c  d' | wordcount }}", "a-002.2|  7 4"},
        {"{{ 'x'|safe + '<' }} {{ '<p>a  <b>c</b>' | striptags }} {{ 'a b/\u00e9' | urlencode }}",
         "x&lt; a c a%20b/%C3%A9"},
        {"{{ 'abc' | list }}{{ d.a | items | list }}{{ 'a' | center(5) }}|", "['a', 'b', 'c'][('k', 'v')]  a  |"});
}

static void methods_do_as_in_python(void **state)
{
    (void)state;
    CHECK({"{{ 'a,b,c'.split(',') }}{{ ' a  b '.split() }}{{ 'a,b,c'.split(',', 1) }}",
           "['a', 'b', 'c']['a', 'b']['a', 'b,c']"},
          {"{{ 'a,b,c'.rsplit(',', 1) }}{{ 'a\nb\r\nc'.splitlines() }}", "['a,b', 'c']['a', 'b', 'c']"},
          {"{{ w.strip() }}|{{ w.lstrip() }}|{{ w.rstrip() }}|{{ 'xax'.strip('x') }}", "x y|x y \n| x y|a"},
          {"{{ 'abc'.startswith('ab') }}{{ 'abc'.endswith(('x', 'c')) }}", "TrueTrue"},
          {"{{ 'abcb'.find('b') }}{{ 'abcb'.rfind('b') }}{{ 'abc'.find('z') }}{{ 'abab'.count('ab') }}", "13-12"},
          {"{{ 'aBc'.upper() }}{{ 'aBc'.lower() }}{{ 'a bc'.title() }}{{ 'aB'.swapcase() }}", "ABCabcA BcAb"},
          {"{{ '\u00e9\u0436\u03c3'.upper() }}{{ '\u00c9\u0416'.lower() }}", "\u00c9\u0416\u03a3\u00e9\u0436"},
          {"{{ '-'.join(['a', 'b']) }}{{ 'a-b'.replace('-', '+') }}{{ 'x'.zfill(3) }}{{ 'a'.ljust(3) }}|",
           "a-ba+b00xa  |"},
          {"{{ 'a=b=c'.partition('=') }}{{ 'a=b=c'.rpartition('=') }}", "('a', '=', 'b=c')('a=b', '=', 'c')"},
          {"{{ 'abc'.removeprefix('a') }}{{ 'abc'.removesuffix('c') }}", "bcab"},
          {"{{ '12'.isdigit() }}{{ 'ab'.isalpha() }}{{ ' '.isspace() }}{{ 'Ab'.isupper() }}", "TrueTrueTrueFalse"},
          {"{{ '{0}-{1}-{x:>4}-{2:.2f}-{{}}'.format(1, 2, 3.14159, x='a') }}", "1-2-   a-3.14-{}"},
          {"{{ '%s and %r, %d%%' % ('a', 'b', 5) }}{{ '%(k)s' % {'k': 1} }}", "a and 'b', 5%1"},
          {"{{ l.index(1) }}{{ l.count(2) }}{{ [1, 2].pop() }}", "112"});
}

static void tests_tell_kinds_apart(void **state)
{
    (void)state;
    CHECK({"{{ missing is defined }}{{ n is defined }}{{ missing is undefined }}{{ no is none }}", "FalseTrueTrueTrue"},
          {"{{ t is string }}{{ d is mapping }}{{ l is sequence }}{{ d is sequence }}{{ n is sequence }}",
           "TrueTrueTrueTrueFalse"},
          {"{{ l is iterable }}{{ n is iterable }}{{ n is number }}{{ f is float }}{{ n is integer }}",
           "TrueFalseTrueTrueTrue"},
          {"{{ yes is boolean }}{{ yes is true }}{{ 1 is true }}{{ yes is integer }}", "TrueTrueFalseFalse"},
          {"{{ 4 is divisibleby 2 }}{{ 3 is eq 3 }}{{ 3 is in [3] }}{{ 2 is lt(3) }}{{ l is sameas l }}",
           "TrueTrueTrueTrueTrue"},
          {"{{ 'a' is lower }}{{ 'A' is upper }}{{ range is callable }}{{ n is not defined }}", "TrueTrueTrueFalse"});
}

static void times_are_those_given(void **state)
{
    (void)state;
    int64_t now;
    CHECK({"{{ strftime_now('%Y-%m-%d %H:%M:%S %j %a %A %b %B %p %I %y %-d %%') }}",
           "2026-01-15 12:00:00 015 Thu Thursday Jan January PM 12 26 15 %"});
    assert_true(sto_template_parse_time("2026-01-15 12:00:00", &now) && now == 1768478400);
    assert_true(sto_template_parse_time("2026-01-15T12:00", &now) && now == 1768478400);
    assert_true(sto_template_parse_time("2000-02-29", &now) && now == 951782400);
    assert_true(sto_template_parse_time("1768478400", &now) && now == 1768478400);
    static const char *const wrong[] = {"",
                                        "x",
                                        "2026",
                                        "2026-13-01",
                                        "2026-02-29",
                                        "2026-01-15 25:00",
                                        "-5",
                                        "2026-01-15 12",
                                        "1969-01-01",
                                        "2026-01-15 12:00:00 x",
                                        "99999999999999"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_true(!sto_template_parse_time(wrong[i], &now) || i == 2);
}

/* ---- what fails ---- */

static void errors_name_the_line(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {"a\n{{ 1 + }}", "line 2: an expression is expected here"},
        {"a\n{% if x %}\nb", "line 3: the template ends where a tag \"elif\" is missing"},
        {"{% endif %}", "line 1: no such statement here: endif"},
        {"{% include 'x' %}", "line 1: no such statement here: include"},
        {"\n{{ 'abc }}", "line 2: the string has no end"},
        {"\n\n{{ x ", "line 3: \"{{\" has no \"}}\""},
        {"{# x", "line 1: the comment has no end"},
        {"{% raw %}x", "line 1: the raw block has no end"},
        {"{{ a b }}", "line 1: expected the end of the tag, found b"},
        {"{% for x l %}", "line 1: expected \"in\", found l"},
        {"{% break %}", "line 1: this is inside no loop"},
        {"{{ ? }}", "line 1: a character that has no meaning here"},
        {"\n{{ \xff }}", "line 2: not valid UTF-8"},
        {"x\n{{ missing.y }}", "line 2: \"missing\" is undefined"},
        {"x\n\n{{ d.zz.y }}", "line 3: \"zz\" is undefined"},
        {"{{ missing() }}", "line 1: \"missing\" is undefined"},
        {"{{ missing + 1 }}", "line 1: \"missing\" is undefined"},
        {"{{ 1 ~ 2 + 3 }}", "line 1: text + integer is not possible"},
        {"{{ 'a' + no }}", "line 1: text + null is not possible"},
        {"{{ 1 / 0 }}", "line 1: division by zero"},
        {"{{ 2 ** 64 }}", "line 1: an integer beyond 64 bits"},
        {"{{ 1 < 'a' }}", "line 1: integer and text have no order"},
        {"{% for x in 5 %}{% endfor %}", "line 1: integer is nothing that can be gone through"},
        {"{{ 1 | nofilter }}", "line 1: there is no filter \"nofilter\""},
        {"{{ 1 is notest }}", "line 1: there is no test \"notest\""},
        {"{% set d.x = 1 %}", "line 1: an attribute can be assigned to a namespace only, not to object"},
        {"{% do l.append(1) %}", "line 1: what the template was given cannot be changed"},
        {"{{ missing | tojson }}", "line 1: tojson: an undefined value cannot be written as JSON"},
        {"{{ '%d' % 'x' }}", "line 1: \"d\" cannot format text"},
        {"{{ '{}-{1}'.format(1) }}", "line 1: not enough values for the format"},
        {"{% set a, b = l %}", "line 1: 3 values for 2 names"},
    };
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        struct sto_rendering out;
        struct sto_error err = {0};
        const enum sto_status status = render(examples[i].source, 0, &out, &err);
        if (status == STO_OK || strcmp(err.message, examples[i].expected) != 0)
            fail_msg("%s: '%s', not '%s'", examples[i].source, err.message, examples[i].expected);
        assert_true(status == STO_ERR_MODEL || status == STO_ERR_USAGE);
        assert_null(out.refusal);
        sto_rendering_free(&out);
    }
}

static void a_template_may_refuse(void **state)
{
    (void)state;
    struct sto_rendering out;
    struct sto_error err = {0};
    assert_int_equal(render("a\n{% if n == 7 %}\n{{ raise_exception('No ' ~ n) }}{% endif %}", 0, &out, &err),
                     STO_ERR_USAGE);
    assert_string_equal(err.message, "line 3: No 7");
    assert_string_equal(out.refusal, "No 7");
    assert_int_equal(out.refusal_size, 4);
    sto_rendering_free(&out);
}

/* Each of these would take for ever, or all memory, or the whole stack. */
static void limits_hold(void **state)
{
    (void)state;
    static const char *const sources[] = {
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% set ns = namespace(x='aaaaaaaa') %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
        "{{ 'a' * 999999999999 }}",
        "{{ [1] * 999999999999 }}",
        "{{ range(1000000000) }}",
        "{% set q = [] %}{% do q.append(q) %}{{ q }}",
        "{% set q = [] %}{% do q.append(q) %}{{ q | tojson }}",
        "{% set q = [1] %}{% for x in q %}{% do q.append(1) %}{% endfor %}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
        "{% set q = [] %}{% set r = [] %}{% do q.append(r) %}{% do r.append(q) %}{{ q == r }}",
        "{{ '%9999d' % 1 * 9999999 }}",
        "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        ("{% set ns = namespace(x=[1]) %}{% for i in range(20000) %}{% set ns.x = [ns.x] %}{% endfor %}"
        "{{ ns.x | map(*['map'] * 20000) | list }}"),
        "{{ ('a' * 100000).replace('', 'b' * 100000) }}",
    };
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        struct sto_rendering out;
        struct sto_error err = {0};
        if (render(sources[i], 0, &out, &err) != STO_ERR_USAGE)
            fail_msg("%s is not stopped: %s", sources[i], err.message);
        assert_true(out.n_steps < 2 * STO_TEMPLATE_MAX_STEPS);
        sto_rendering_free(&out);
    }
}

static void nesting_is_limited(void **state)
{
    (void)state;
    static const char *const parts[][2] = {{"(", ")"},   {"[", "]"},     {"-", ""},
                                           {"not ", ""}, {"{'a':", "}"}, {"f(", ")"}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char source[8192] = "{{ ";
        struct sto_rendering out;
        struct sto_error err = {0};
        for (int k = 0; k < 600; k++)
            strcat(source, parts[i][0]);
        strcat(source, "1");
        for (int k = 0; k < 600; k++)
            strcat(source, parts[i][1]);
        strcat(source, " }}");
        assert_int_equal(render(source, 0, &out, &err), STO_ERR_MODEL);
        assert_non_null(strstr(err.message, "nested too deep"));
        sto_rendering_free(&out);
    }
}

static void steps_are_counted(void **state)
{
    (void)state;
    struct sto_rendering out;
    struct sto_error err = {0};
    assert_int_equal(render("{% for x in range(100) %}{{ x }}{% endfor %}", 100, &out, &err), STO_ERR_USAGE);
    assert_string_equal(err.message, "line 1: the template takes more than 100 steps");
    sto_rendering_free(&out);
    assert_int_equal(render("{% for x in range(100) %}{{ x }}{% endfor %}", 2000, &out, &err), STO_OK);
    assert_true(out.n_steps > 200 && out.n_steps < 2000);
    sto_rendering_free(&out);
}

/* Each allocation fails in turn: an error, never a crash. */
static void memory_may_run_out(void **state)
{
    (void)state;
    static const char source[] = "{% macro m(a) %}{{ a | upper }}{% endmacro %}{% for x in p | sort(attribute='v') %}"
                                 "{{ m(x.r) ~ x | tojson ~ [x] }}{% endfor %}";
    struct sto_arena arena = {0};
    struct sto_template_input input = {.now = 0};
    enum sto_status status = STO_ERR_FAILED;
    assert_int_equal(sto_json_read(&arena, variables, strlen(variables), &input.extra, NULL), STO_OK);
    for (uint64_t at = 1; status != STO_OK && at < 1000; at++) {
        struct sto_template *t = NULL;
        struct sto_rendering out = {0};
        struct sto_error err = {0};
        sto_alloc_fail_after(at);
        status = sto_template_create(source, strlen(source), &t, &err);
        if (status == STO_OK)
            status = sto_template_render(t, &input, &out, &err);
        sto_alloc_fail_after(0);
        assert_true(status == STO_OK || err.message[0] != '\0');
        sto_rendering_free(&out);
        sto_template_destroy(t);
    }
    assert_int_equal(status, STO_OK);
    sto_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(white_space_is_controlled),
        cmocka_unit_test(expressions_bind_as_documented),
        cmocka_unit_test(values_are_printed_as_in_python),
        cmocka_unit_test(parts_are_found),
        cmocka_unit_test(loops_know_where_they_are),
        cmocka_unit_test(scopes_end_where_documented),
        cmocka_unit_test(macros_take_arguments),
        cmocka_unit_test(filters_do_as_documented),
        cmocka_unit_test(methods_do_as_in_python),
        cmocka_unit_test(tests_tell_kinds_apart),
        cmocka_unit_test(times_are_those_given),
        cmocka_unit_test(errors_name_the_line),
        cmocka_unit_test(a_template_may_refuse),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(nesting_is_limited),
        cmocka_unit_test(steps_are_counted),
        cmocka_unit_test(memory_may_run_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
