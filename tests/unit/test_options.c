/* The program's options: values and ranges, error texts, help made from the tables, the demo model's places, the text
 * of the progress bar, and exit codes of the built program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/cli/cli.h"
#include "host/cli/term.h"
#include "runtime/base/mem.h"
#include "runtime/base/os.h"

enum { MAX_ARGS = 64 };

static struct sto_options options; /* some kilobytes */

/* Parses a command line, split at blanks; '~' stands for a blank within a word and "''" for an empty word. */
static enum sto_status parse(const char *line, struct sto_error *err)
{
    static char text[4096];
    static char *argv[MAX_ARGS + 1];
    int argc = 0;
    (void)snprintf(text, sizeof text, "%s", line);
    for (char *word = strtok(text, " "); word != NULL && argc < MAX_ARGS; word = strtok(NULL, " ")) {
        if (strcmp(word, "''") == 0)
            word[0] = '\0';
        for (char *c = word; *c != '\0'; c++)
            *c = *c == '~' ? ' ' : *c;
        argv[argc++] = word;
    }
    const struct sto_command *command = sto_find_command(argv[0]);
    assert_non_null(command);
    return sto_options_parse(command->tables, command->max_models, argc, argv, &options, err);
}

static void parse_ok(const char *line)
{
    struct sto_error err = {0};
    if (parse(line, &err) != STO_OK)
        fail_msg("'%s': %s", line, err.message);
}

static void expect_error(const char *line, const char *message)
{
    struct sto_error err = {0};
    assert_int_equal(parse(line, &err), STO_ERR_USAGE);
    assert_string_equal(err.message, message);
}

/* ---- values ----------------------------------------------------------------------------------------------- */

static void defaults_are_those_of_the_library(void **state)
{
    (void)state;
    struct sto_sampler_params p;
    const struct sto_sampler_params *got = &options.sampling.params;
    sto_sampler_defaults(&p);
    parse_ok("run");
    assert_true(got->temperature == p.temperature && got->top_k == p.top_k && got->top_p == p.top_p);
    assert_true(got->min_p == p.min_p && got->typical_p == p.typical_p && got->repeat_penalty == p.repeat_penalty);
    assert_true(got->penalty_last_n == p.penalty_last_n && got->dry_base == p.dry_base);
    assert_true(got->dry_last_n == p.dry_last_n && got->mirostat_tau == p.mirostat_tau);
    assert_int_equal(options.n_models, 0);
    assert_int_equal(options.common.kv_type, STO_TYPE_F16);
    assert_false(options.common.kv_type_set || options.common.seed_set);
    struct sto_engine_params engine;
    sto_options_engine(&options, &engine);
    assert_int_equal(engine.ctx_tokens, 0);
    struct sto_device_params device;
    sto_options_device(&options, &device);
    assert_null(device.name);
}

static void common_options_are_read(void **state)
{
    (void)state;
    parse_ok("run m.gguf --device 1 --vram 6G --ram 1.5GiB --ctx 4096 --ubatch=256 --kv q8_0 --math exact "
             "--deterministic --threads 3 --seed 18446744073709551615 --trace t.json -v -v -q --subgroup 16 --no-f16 "
             "--no-int-dot --no-self-test --validation --place resident:0-3,cpu:4 --ring 3 --sim s.json");
    const struct sto_common_options *c = &options.common;
    struct sto_engine_params engine;
    struct sto_device_params device;
    sto_options_engine(&options, &engine);
    sto_options_device(&options, &device);
    assert_string_equal(options.models[0], "m.gguf");
    assert_string_equal(device.name, "1");
    assert_true(engine.vram_bytes == UINT64_C(6) << 30 && c->ram_bytes == UINT64_C(3) << 29);
    assert_true(engine.ctx_tokens == 4096 && engine.ubatch_tokens == 256);
    assert_true(engine.kv_type_set && engine.kv_type == STO_TYPE_Q8_0);
    assert_true(engine.math == STO_MATH_EXACT && engine.deterministic);
    assert_true(c->threads == 3 && c->seed_set && c->seed == UINT64_MAX);
    assert_true(c->verbose == 2 && c->quiet && c->ring == 3);
    assert_true(device.subgroup_size == 16 && device.no_f16 && device.no_int_dot && device.validation);
    assert_true(device.no_self_test);
    assert_string_equal(c->trace, "t.json");
    assert_string_equal(c->place, "resident:0-3,cpu:4");
    assert_string_equal(c->sim, "s.json");
}

static void sampling_options_are_read(void **state)
{
    (void)state;
    parse_ok("run --temp 0.5 --top-k 3 --top-p 0.25 --min-p 0.125 --typical 0.75 --repeat-penalty 1.25 "
             "--frequency-penalty -0.5 --presence-penalty 1e-1 --repeat-last-n all --dry-multiplier 2 --dry-base 1.5 "
             "--dry-allowed-length 4 --dry-last-n 100 --dry-breaker \n --dry-breaker : --xtc-probability 1 "
             "--xtc-threshold 0.5 --mirostat 2 --mirostat-tau 3 --mirostat-eta 0.25 --logit-bias 5=-inf "
             "--logit-bias 6+1.5 --logit-bias 7-2 --logit-bias 8=-2 --seed 9");
    sto_options_sampling(&options);
    const struct sto_sampler_params *p = &options.sampling.params;
    assert_true(p->temperature == 0.5f && p->top_k == 3 && p->top_p == 0.25f && p->min_p == 0.125f);
    assert_true(p->typical_p == 0.75f && p->repeat_penalty == 1.25f && p->frequency_penalty == -0.5f);
    assert_true(p->presence_penalty == 0.1f && p->penalty_last_n == UINT32_MAX);
    assert_true(p->dry_multiplier == 2 && p->dry_base == 1.5f && p->dry_allowed_length == 4 && p->dry_last_n == 100);
    assert_int_equal(options.sampling.dry_breakers.n, 2);
    assert_string_equal(options.sampling.dry_breakers.items[1], ":");
    assert_true(p->xtc_probability == 1 && p->xtc_threshold == 0.5f);
    assert_true(p->mirostat == 2 && p->mirostat_tau == 3 && p->mirostat_eta == 0.25f);
    assert_true(p->n_biases == 4 && p->seed == 9);
    assert_true(p->biases[0].token == 5 && p->biases[0].bias == -INFINITY);
    assert_true(p->biases[1].token == 6 && p->biases[1].bias == 1.5f);
    assert_true(p->biases[2].token == 7 && p->biases[2].bias == -2.0f);
    assert_true(p->biases[3].token == 8 && p->biases[3].bias == -2.0f);
    struct sto_sampler *s;
    assert_int_equal(sto_sampler_create(p, 10, &s, NULL), STO_OK);
    sto_sampler_destroy(s);
}

static void run_options_are_read(void **state)
{
    (void)state;
    parse_ok("run -p Hello,~you -n 12 --raw --json --stop a --stop=b=c --ignore-eos -m x.gguf");
    assert_string_equal(options.own.prompt, "Hello, you");
    assert_true(options.own.max_tokens == 12 && options.own.raw && options.own.json && options.own.ignore_eos);
    assert_int_equal(options.own.stops.n, 2);
    assert_string_equal(options.own.stops.items[1], "b=c");
    assert_string_equal(options.models[0], "x.gguf");
    parse_ok("run -n -1 -p --temp -f - -- -strange.gguf");
    assert_true(options.own.max_tokens == UINT32_MAX);
    assert_string_equal(options.own.prompt, "--temp"); /* what follows an option is its value, whatever it looks like */
    assert_string_equal(options.own.file, "-");
    assert_string_equal(options.models[0], "-strange.gguf");
    parse_ok("run --top-k 1 --top-k 2");
    assert_int_equal(options.sampling.params.top_k, 2);
    parse_ok("run --help --nonsense");
    assert_true(options.help);
    parse_ok("bench -p 512,1024 -n 128 -d 0 -b 4 -r 5 -o csv --sweep vram --shape 8b:q4_k_m");
    assert_true(options.own.bench_output == STO_BENCH_CSV && options.own.sweep == STO_SWEEP_VRAM);
    parse_ok("tokenize m --special --no-bos --jsonl");
    assert_true(options.own.special && options.own.no_bos && options.own.jsonl);
    parse_ok("logits m --tokens 1,2,3 --all --batch 7 -o out");
    assert_true(options.own.all && options.own.batch_tokens == 7);
}

static void sizes_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {{"0", 0},
                {"1000", 1000},
                {"17B", 17},
                {"2k", 2048},
                {"512M", UINT64_C(512) << 20},
                {"6G", UINT64_C(6) << 30},
                {"6g", UINT64_C(6) << 30},
                {"1.5GiB", UINT64_C(3) << 29},
                {"0.25gib", UINT64_C(1) << 28},
                {"8GB", UINT64_C(8000000000)},
                {"3MB", 3000000},
                {"1T", UINT64_C(1) << 40},
                {"8388607T", UINT64_C(8388607) << 40}};
    static const char *const bad[] = {"",     "G",        "-1G",
                                      "+1",   "1.2.3",    "6 G",
                                      "6Q",   "6GiBs",    "6Gi",
                                      "0x10", "1e400",    "1e3",
                                      "nan",  "8388608T", "99999999999999999999",
                                      ".",    "6G ",      "1111111111111111111111111111111111111111"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        uint64_t bytes = 1;
        assert_true(sto_parse_size(good[i].text, &bytes));
        assert_true(bytes == good[i].bytes);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint64_t bytes;
        if (sto_parse_size(bad[i], &bytes))
            fail_msg("'%s' was read as a size", bad[i]);
    }
}

static void ids_are_read(void **state)
{
    (void)state;
    uint32_t *ids;
    size_t n;
    struct sto_error err = {0};
    assert_int_equal(sto_parse_ids("--tokens", " 1, 22 ,4294967295", &ids, &n, &err), STO_OK);
    assert_true(n == 3 && ids[0] == 1 && ids[1] == 22 && ids[2] == UINT32_MAX);
    sto_free(ids);
    static const char *const bad[] = {
        "",   ",",   "1,,2",       "1,2,", "1;2",
        "-1", "1,x", "4294967296", "1 2",  "111111111111111111111111111111111111111111111111111111"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(sto_parse_ids("--tokens", bad[i], &ids, &n, &err), STO_ERR_USAGE);
        assert_null(ids);
        assert_non_null(strstr(err.message, "--tokens: '"));
    }
    assert_int_equal(sto_parse_ids("--tokens", "7,bad,9", &ids, &n, &err), STO_ERR_USAGE);
    assert_string_equal(err.message, "--tokens: 'bad' (item 2) is no token id; its range is: 0 to 4294967295");
}

/* ---- errors ----------------------------------------------------------------------------------------------- */

static void errors_name_option_value_and_range(void **state)
{
    (void)state;
    expect_error("run --temp", "--temp needs a value: X");
    expect_error("run --temp -0.5", "--temp: '-0.5' is out of range; its range is: 0 or more");
    expect_error("run --temp warm", "--temp: 'warm' is no number; its range is: 0 or more");
    expect_error("run --temp=''x", "--temp: '''x' is no number; its range is: 0 or more");
    expect_error("run --temp ''", "--temp: '' is no number; its range is: 0 or more");
    expect_error("run --temp nan", "--temp: 'nan' is no number; its range is: 0 or more");
    expect_error("run --temp 1e99", "--temp: '1e99' is out of range; its range is: 0 or more");
    expect_error("run --top-p 0", "--top-p: '0' is out of range; its range is: above 0, at most 1");
    expect_error("run --min-p 1", "--min-p: '1' is out of range; its range is: 0 or more, below 1");
    expect_error("run --min-p 0.99999999999",
                 "--min-p: '0.99999999999' is out of range; its range is: 0 or more, below 1");
    expect_error("run --xtc-probability 2", "--xtc-probability: '2' is out of range; its range is: 0 to 1");
    expect_error("run --repeat-penalty 0", "--repeat-penalty: '0' is out of range; its range is: above 0");
    expect_error("run --presence-penalty 1e39",
                 "--presence-penalty: '1e39' is out of range; its range is: a finite number");
    expect_error("run --top-k 1.5", "--top-k: '1.5' is out of range or no whole number; its range is: 0 or more");
    expect_error("run --top-k ten", "--top-k: 'ten' is no whole number; its range is: 0 or more");
    expect_error("run --top-k 4294967296", "--top-k: '4294967296' is out of range; its range is: 0 or more");
    expect_error("run -n 0", "-n: '0' is out of range; its range is: 1 or more, or all");
    expect_error("run --ubatch 65537", "--ubatch: '65537' is out of range; its range is: 1 to 65536");
    expect_error("run --seed 18446744073709551616", "--seed: '18446744073709551616' is no whole number; its range is: "
                                                    "0 to 18446744073709551615");
    expect_error("run --kv q5_0", "--kv: 'q5_0' is not one of: f32, f16, q8_0, q4_0");
    expect_error("run --mirostat 1", "--mirostat: '1' is not one of: 0, 2");
    expect_error("run --vram 0", "--vram: '0' is no size; its range is: 1 byte to 8388607T, written as 6G, 512M, "
                                 "1.5GiB or 8GB");
    expect_error("run --raw=yes", "--raw takes no value, but 'yes' was given");
    expect_error("run --stop ''", "--stop: '' is empty; its range is: one character or more");
    expect_error("run --logit-bias 5", "--logit-bias: '5' is no bias; its range is: ID=X, where ID is a token and X a "
                                       "finite number or -inf");
    expect_error("run --logit-bias 5=inf", "--logit-bias: '5=inf' is no bias; its range is: ID=X, where ID is a token "
                                           "and X a finite number or -inf");
    expect_error("run --tmp 1", "unknown option '--tmp'; did you mean '--temp'?");
    expect_error("run --entirely-new", "unknown option '--entirely-new'");
    expect_error("run a.gguf b.gguf", "MODEL: 'b.gguf' is one too many; its range is: up to 1");
    expect_error("run -m a.gguf b.gguf", "MODEL: 'b.gguf' is one too many; its range is: up to 1");
    expect_error("run ''", "MODEL: '' is empty; its range is: a path or a name");
    expect_error("devices a.gguf", "unexpected argument 'a.gguf'");
    expect_error("info --temp 1", "unknown option '--temp'");
}

static void lists_have_an_end(void **state)
{
    (void)state;
    char line[4096] = "run";
    for (int i = 0; i <= STO_MAX_LIST; i++)
        strcat(line, " --stop=x");
    expect_error(line, "--stop: 'x' is one too many; its range is: up to 32 times");
}

/* ---- tables and help -------------------------------------------------------------------------------------- */

static void tables_are_sound(void **state)
{
    (void)state;
    for (size_t i = 0; i < sto_n_commands; i++) {
        const struct sto_command *c = &sto_commands[i];
        const char *names[200];
        size_t n = 0;
        assert_true(c->tables[STO_MAX_TABLES - 1] == NULL && c->usage[0] != NULL && c->examples[0].line != NULL);
        assert_true(strncmp(c->usage[0], c->name, strlen(c->name)) == 0);
        assert_true(c->exits[0] == '0' && strchr(c->exits, '2') != NULL);
        for (size_t t = 0; c->tables[t] != NULL; t++) {
            for (size_t k = 0; k < c->tables[t]->n; k++) {
                const struct sto_option *o = &c->tables[t]->options[k];
                assert_true(strncmp(o->name, "--", 2) == 0);
                assert_true(o->alias == NULL || (o->alias[0] == '-' && o->alias[1] != '-' && strlen(o->alias) <= 3));
                const bool takes_none = o->kind == STO_OPTION_FLAG || o->kind == STO_OPTION_COUNT;
                assert_true((o->value == NULL) == takes_none);
                assert_true((o->choices != NULL) == (o->kind == STO_OPTION_CHOICE));
                assert_true(o->offset > 0 || o->kind == STO_OPTION_MODEL);
                names[n++] = o->name;
                if (o->alias != NULL)
                    names[n++] = o->alias;
            }
        }
        for (size_t a = 0; a < n; a++) {
            for (size_t b = 0; b < a; b++) {
                if (strcmp(names[a], names[b]) == 0)
                    fail_msg("%s has %s twice", c->name, names[a]);
            }
        }
    }
}

static bool none_available(const char *name)
{
    (void)name;
    return false;
}

/* Reads back what a function printed; free with sto_free. */
static char *printed(FILE *file)
{
    const long size = ftell(file);
    char *text = sto_calloc((size_t)size + 1, 1);
    rewind(file);
    assert_int_equal(fread(text, 1, (size_t)size, file), (size_t)size);
    (void)fclose(file);
    return text;
}

/* No line of help is longer than the width, but for examples, which are to be copied whole. */
static void expect_width(const char *text, size_t columns)
{
    for (const char *line = text; *line != '\0';) {
        const size_t size = strcspn(line, "\n");
        if (size > columns && strncmp(line, "  strato", 8) != 0)
            fail_msg("longer than %zu: %.*s", columns, (int)size, line);
        line += size + (line[size] == '\n');
    }
}

static void help_shows_every_option(void **state)
{
    (void)state;
    for (size_t i = 0; i < sto_n_commands; i++) {
        const struct sto_command *c = &sto_commands[i];
        for (unsigned columns = 60; columns <= 100; columns += 20) {
            FILE *file = tmpfile();
            assert_non_null(file);
            sto_print_command_help(file, c, i % 2 == 0, columns);
            char *text = printed(file);
            for (size_t t = 0; c->tables[t] != NULL; t++) {
                for (size_t k = 0; k < c->tables[t]->n; k++)
                    assert_non_null(strstr(text, c->tables[t]->options[k].name));
            }
            assert_int_equal(strstr(text, "not available") == NULL, i % 2 == 0);
            assert_non_null(strstr(text, "Usage:\n  strato "));
            assert_non_null(strstr(text, "Exit codes:\n  0  done\n"));
            expect_width(text, columns);
            sto_free(text);
        }
    }
    FILE *file = tmpfile();
    sto_print_overview(file, none_available, 80);
    char *text = printed(file);
    for (size_t i = 0; i < sto_n_commands; i++)
        assert_non_null(strstr(text, sto_commands[i].summary));
    expect_width(text, 80);
    sto_free(text);
}

/* The commands of the program's contract. */
static void every_command_is_described(void **state)
{
    (void)state;
    static const char *const names[] = {"run",     "chat",   "serve",    "bench",    "plan",   "info",
                                        "devices", "verify", "tune",     "embed",    "pull",   "list",
                                        "show",    "rm",     "tokenize", "template", "logits", "ppl"};
    assert_int_equal(sto_n_commands, sizeof names / sizeof *names);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_non_null(sto_find_command(names[i]));
    assert_null(sto_find_command("xyzzy"));
    assert_string_equal(sto_nearest_command("tokenise"), "tokenize");
    assert_string_equal(sto_nearest_command("rnu"), "run");
    assert_string_equal(sto_nearest_command("benchh"), "bench");
    assert_null(sto_nearest_command("xyzzy"));
    assert_null(sto_nearest_command(""));
    assert_int_equal(sto_edit_distance("kitten", "sitting"), 3); /* Levenshtein's well-known pair */
    assert_int_equal(sto_edit_distance("abcd", "abdc"), 1);
    assert_int_equal(sto_edit_distance("", "abc"), 3);
}

/* ---- around the commands ---------------------------------------------------------------------------------- */

static void demo_is_found_beside_the_program(void **state)
{
    (void)state;
    static const char *const places[] = {"../models/demo", "../share/strato", "models/demo"}; /* last to first choice */
    static const char *const folders[] = {"bin/models/demo", "bin/models",   "bin",   "models/demo",
                                          "models",          "share/strato", "share", "."};
    char root[600], bin[700], path[2000], want[1000];
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(root, sizeof root, "%.500s/strato-%llx", tmp != NULL ? tmp : "/tmp",
                   (unsigned long long)sto_wall_seed());
    (void)snprintf(bin, sizeof bin, "%s/bin", root);
    assert_int_equal(sto_make_dirs(bin, NULL), STO_OK);
    assert_null(sto_cli_find_demo(bin, path, sizeof path));
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        (void)snprintf(want, sizeof want, "%s/%s", bin, places[i]);
        assert_int_equal(sto_make_dirs(want, NULL), STO_OK);
        (void)snprintf(want, sizeof want, "%s/%s/demo.gguf", bin, places[i]);
        assert_int_equal(sto_file_write_atomic(want, "x", 1, NULL), STO_OK);
        assert_ptr_equal(sto_cli_find_demo(bin, path, sizeof path), path);
        assert_string_equal(path, want);
    }
    assert_null(sto_cli_find_demo(bin, path, 20)); /* does not fit */
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        (void)snprintf(want, sizeof want, "%s/%s/demo.gguf", bin, places[i]);
        assert_int_equal(remove(want), 0);
    }
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        (void)snprintf(want, sizeof want, "%s/%s", root, folders[i]);
        (void)remove(strcmp(folders[i], ".") == 0 ? root : want); /* a folder too, on POSIX */
    }
}

static void exit_codes_follow_the_status(void **state)
{
    (void)state;
    assert_int_equal(sto_exit_code(STO_OK), 0);
    assert_int_equal(sto_exit_code(STO_ERR_FAILED), 1);
    assert_int_equal(sto_exit_code(STO_ERR_USAGE), 2);
    assert_int_equal(sto_exit_code(STO_ERR_MODEL), 3);
    assert_int_equal(sto_exit_code(STO_ERR_NO_DEVICE), 4);
    assert_int_equal(sto_exit_code(STO_ERR_NO_FIT), 5);
    assert_int_equal(sto_exit_code(STO_ERR_CANCELLED), 1);
    assert_int_equal(sto_exit_code(STO_ERR_DEVICE_LOST), 1);
}

static void bars_and_bytes_are_written_out(void **state)
{
    (void)state;
    char text[128];
    static const struct {
        uint64_t bytes;
        const char *text;
    } sizes[] = {{0, "0 bytes"},
                 {1023, "1023 bytes"},
                 {1024, "1.00 KiB"},
                 {1536, "1.50 KiB"},
                 {UINT64_C(812) << 20, "812 MiB"},
                 {(UINT64_C(1) << 30) - 1, "1.00 GiB"},
                 {UINT64_C(47) << 30, "47.0 GiB"},
                 {UINT64_MAX, "16.0 EiB"}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        sto_bytes_text(sizes[i].bytes, text, sizeof text);
        assert_string_equal(text, sizes[i].text);
    }
    struct sto_bar bar = {.what = "weights",
                          .done = UINT64_C(1) << 30,
                          .total = UINT64_C(4) << 30,
                          .bytes = true,
                          .elapsed_ns = 500000000,
                          .columns = 80};
    sto_bar_text(&bar, text, sizeof text);
    assert_string_equal(text, "weights  [######..................]  1.00 GiB of 4.00 GiB  2.00 GiB/s");
    bar.columns = 20;
    sto_bar_text(&bar, text, sizeof text);
    assert_string_equal(text, "weights  [######...");
    bar = (struct sto_bar){.what = "kernels", .done = 9, .total = 7, .columns = 80};
    sto_bar_text(&bar, text, sizeof text);
    assert_string_equal(text, "kernels  [########################]  7 of 7");
}

/* ---- whole programs --------------------------------------------------------------------------------------- */

static const char *this_program;

static void note_cancel(void *arg)
{
    *(volatile sig_atomic_t *)arg = 1;
}

/* What this test program does instead of testing when it is told to. */
static int play(const char *part)
{
    static volatile sig_atomic_t cancelled;
    const struct sto_callbacks cb = sto_term_callbacks();
    if (strcmp(part, "interrupt") == 0 || strcmp(part, "interrupt-twice") == 0) {
        sto_cli_on_interrupt(note_cancel, (void *)&cancelled);
        const bool before = sto_cli_interrupted() || cb.progress(NULL, "weights", 1, 2);
        (void)raise(SIGINT);
        if (before || !cancelled || !sto_cli_interrupted() || !cb.progress(NULL, "weights", 1, 2))
            return 1;
        if (strcmp(part, "interrupt-twice") == 0)
            (void)raise(SIGINT);
        return 17;
    }
    /* Everything that may be said, for as long as it takes to draw a bar. */
    sto_term_start(strcmp(part, "quiet") == 0, 2);
    const uint64_t begin = sto_now_ns();
    while (sto_now_ns() - begin < 250 * 1000 * 1000)
        (void)cb.progress(NULL, "weights", 1, 2);
    cb.log(NULL, STO_LOG_WARNING, "warned");
    cb.log(NULL, STO_LOG_DEBUG, "detail");
    cb.log(NULL, STO_LOG_ERROR, "failed");
    (void)cb.progress(NULL, "weights", 2, 2);
    return 17;
}

/* Runs a command of the shell: its exit code. */
static int shell(const char *format, const char *program, const char *arguments)
{
    char command[4096];
#ifdef _WIN32
    skip();
#endif
    if (program == NULL)
        skip();
    (void)snprintf(command, sizeof command, format, program, arguments);
    const int status = system(command);
    return status >> 8 & 0xff; /* POSIX: the exit code is the second byte */
}

static int exit_of(const char *arguments)
{
    return shell("\"%s\" %s >/dev/null 2>&1", getenv("STRATO_BINARY"), arguments);
}

static void interrupts_cancel_and_then_end(void **state)
{
    (void)state;
    assert_int_equal(shell("\"%s\" --play %s 2>/dev/null", this_program, "interrupt"), 17);
    assert_int_equal(shell("\"%s\" --play %s 2>/dev/null", this_program, "interrupt-twice"), 130);
}

/* Into a pipe go plain lines: no bar, no colour, nothing but errors when quiet. */
static void a_pipe_gets_plain_messages(void **state)
{
    (void)state;
    static const char *const compare =
        "test \"$(\"%s\" --play %s 2>&1 >/dev/null | od -An -c | tr -d ' \n' | sed 's/strato://g')\" = '";
    char command[512];
    (void)snprintf(command, sizeof command, "%swarning:warned\\ndetail\\nerror:failed\\n'", compare);
    assert_int_equal(shell(command, this_program, "loud"), 0);
    (void)snprintf(command, sizeof command, "%serror:failed\\n'", compare);
    assert_int_equal(shell(command, this_program, "quiet"), 0);
}

static void the_program_exits_as_documented(void **state)
{
    (void)state;
    assert_int_equal(exit_of(""), 0);
    assert_int_equal(exit_of("--help"), 0);
    assert_int_equal(exit_of("--version"), 0);
    assert_int_equal(exit_of("help"), 0);
    for (size_t i = 0; i < sto_n_commands; i++) {
        char arguments[64];
        (void)snprintf(arguments, sizeof arguments, "help %s", sto_commands[i].name);
        assert_int_equal(exit_of(arguments), 0);
        (void)snprintf(arguments, sizeof arguments, "%s --help", sto_commands[i].name);
        assert_int_equal(exit_of(arguments), 0);
        (void)snprintf(arguments, sizeof arguments, "%s --no-such-option", sto_commands[i].name);
        assert_int_equal(exit_of(arguments), 2);
    }
    assert_int_equal(exit_of("xyzzy"), 2);
    assert_int_equal(exit_of("help xyzzy"), 2);
    assert_int_equal(exit_of("--xyzzy"), 2);
    if (sto_file_exists("/dev/full"))
        assert_int_equal(exit_of("help run 2>/dev/null >/dev/full; test $? -eq 1 && exit 9; exit 8;"), 9);
}

int main(int argc, char **argv)
{
    this_program = argv[0];
    if (argc == 3 && strcmp(argv[1], "--play") == 0)
        return play(argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_those_of_the_library),
        cmocka_unit_test(common_options_are_read),
        cmocka_unit_test(sampling_options_are_read),
        cmocka_unit_test(run_options_are_read),
        cmocka_unit_test(sizes_are_read),
        cmocka_unit_test(ids_are_read),
        cmocka_unit_test(errors_name_option_value_and_range),
        cmocka_unit_test(lists_have_an_end),
        cmocka_unit_test(tables_are_sound),
        cmocka_unit_test(help_shows_every_option),
        cmocka_unit_test(every_command_is_described),
        cmocka_unit_test(demo_is_found_beside_the_program),
        cmocka_unit_test(exit_codes_follow_the_status),
        cmocka_unit_test(bars_and_bytes_are_written_out),
        cmocka_unit_test(interrupts_cancel_and_then_end),
        cmocka_unit_test(a_pipe_gets_plain_messages),
        cmocka_unit_test(the_program_exits_as_documented),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
