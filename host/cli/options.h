/* The options of every command: the values they bind to, the tables that describe them, and the parser.
 *
 * An option is one line of a table: names, what it takes, its range, its help and the field of struct sto_options it
 * sets. Parsing, error texts and help are made from that line, so they cannot disagree.
 *
 *   --name VALUE, --name=VALUE, -n VALUE, flags; "--" ends options; of a repeated option the last counts, but lists
 *   collect. Errors name the option, the value and the range. All texts point into argv. */
#ifndef STO_CLI_OPTIONS_H
#define STO_CLI_OPTIONS_H

#include "host/sampler.h"
#include "runtime/base/status.h"
#include "runtime/simulation.h"

enum { STO_MAX_LIST = 32, STO_MAX_BIASES = 1024, STO_MAX_MODELS = 16 };

struct sto_text_list {
    const char *items[STO_MAX_LIST];
    size_t n;
};

struct sto_bias_list {
    struct sto_logit_bias items[STO_MAX_BIASES];
    size_t n;
};

/* Options that every command shares. 0, NULL and false: not given, unless stated. */
struct sto_common_options {
    const char *device;
    uint64_t vram_bytes, ram_bytes, pinned_bytes;
    uint32_t ctx_tokens, ubatch_tokens;
    enum sto_type kv_type; /* default F16 */
    bool kv_type_set;
    enum sto_math math;
    bool deterministic;
    uint32_t threads;
    uint64_t seed;
    bool seed_set;
    const char *trace;
    const char *place; /* for tests and study, like the rest of this struct */
    uint32_t ring;
    enum sto_copy_body copy;
    const char *sim;
    struct sto_simulation simulation; /* what sim says, once sto_cli_begin has read it */
    bool validation, no_f16, no_int_dot, no_self_test;
    uint32_t subgroup_size;
    uint32_t verbose; /* how often -v was given */
    bool quiet;
};

/* Sampling. params.biases is left to the caller: sto_options_sampling fills it in. */
struct sto_sampling_options {
    struct sto_sampler_params params;
    struct sto_bias_list biases;
    struct sto_text_list dry_breakers; /* texts; each becomes the token that it is, if it is one */
};

/* What commands have of their own. A field serves every command whose table has the option. */
struct sto_command_options {
    const char *prompt;     /* -p TEXT */
    const char *file;       /* -f FILE */
    const char *output;     /* -o FILE */
    const char *template_file; /* -t FILE */
    const char *now;        /* --now TIME */
    const char *batch_file; /* --batch-file FILE */
    bool resume;            /* --resume */
    uint32_t parallel;      /* --parallel N; 0: as many as fit */
    const char *tokens;     /* --tokens LIST; sto_parse_ids reads it */
    uint32_t max_tokens;    /* -n; 0: not given; UINT32_MAX: all */
    uint32_t batch_tokens;  /* --batch; 0: all at once */
    bool raw, json, jsonl, special, no_bos, all, ignore_eos;
    struct sto_text_list stops;
    struct sto_text_list bench_prompt, bench_generate, bench_depth, bench_batch, bench_ubatch; /* see bench_list.h */
    uint32_t repetitions;
    int bench_output;       /* enum sto_bench_output */
    bool bench_output_set;
    int sweep;              /* enum sto_sweep */
    struct sto_text_list budgets; /* --budgets */
    const char *shape;
    bool synthetic, no_hash;
    int decode;             /* enum sto_bench_decode */
    const char *kernel;     /* --kernel NAME */
    uint32_t workgroup;     /* --workgroup N; 0: the plan's */
    uint32_t snapshot;      /* --snapshot N */
    bool snapshot_set, kernels;
    bool reset;             /* --reset */
    uint32_t race_ms;       /* --race MS; 0: not given */
    const char *system;     /* --system TEXT */
    const char *tools;      /* --tools FILE */
    int thinking;           /* enum sto_thinking */
    uint32_t thinking_budget; /* --think-budget N; 0: no limit */
    bool fold;
    const char *rates;      /* --rates FILE|LIST */
    uint32_t depth_tokens;  /* --depth N */
};
enum sto_bench_output { STO_BENCH_MD, STO_BENCH_CSV, STO_BENCH_JSON, STO_BENCH_JSONL };
enum sto_bench_decode { STO_BENCH_DRAW, STO_BENCH_EVAL };
enum sto_sweep { STO_SWEEP_NONE, STO_SWEEP_CONTEXT, STO_SWEEP_BATCH, STO_SWEEP_VRAM };

struct sto_options {
    const char *models[STO_MAX_MODELS]; /* [n_models] MODEL arguments, -m counts as one */
    size_t n_models;
    bool help; /* --help was given; nothing after it was looked at */
    struct sto_common_options common;
    struct sto_sampling_options sampling;
    struct sto_command_options own;
};

enum sto_option_kind {
    STO_OPTION_FLAG,   /* bool                                                                          */
    STO_OPTION_COUNT,  /* uint32_t, one more each time                                                  */
    STO_OPTION_TEXT,   /* const char *                                                                  */
    STO_OPTION_U32,    /* uint32_t, decimal                                                             */
    STO_OPTION_U32_ALL, /* uint32_t; "all" and -1 are UINT32_MAX                                        */
    STO_OPTION_U64,    /* uint64_t, decimal                                                             */
    STO_OPTION_F32,    /* float                                                                         */
    STO_OPTION_SIZE,   /* uint64_t bytes: 6G, 512M, 1.5GiB (powers of 1024), 8GB (powers of 1000)       */
    STO_OPTION_CHOICE, /* an enum or uint32_t of 4 bytes                                                */
    STO_OPTION_TEXTS,  /* struct sto_text_list                                                          */
    STO_OPTION_BIASES, /* struct sto_bias_list: ID=X, ID+X, ID-X; X a number or -inf                    */
    STO_OPTION_MODEL   /* adds to sto_options.models                                                    */
};

struct sto_choice {
    const char *name;
    uint32_t value;
};

struct sto_option {
    const char *name, *alias; /* "--temp", NULL */
    const char *value;        /* what help calls the value: "X"; NULL for flags and counts */
    const char *help;
    enum sto_option_kind kind;
    size_t offset;            /* of the field in struct sto_options */
    size_t given;             /* of a bool that becomes true; 0: none */
    double low, high;         /* inclusive range of numbers */
    bool open_low, open_high; /* that end does not belong to the range */
    bool show_default;        /* help prints what sto_options_defaults gives */
    const struct sto_choice *choices; /* ends with a NULL name */
};

struct sto_option_table {
    const char *title; /* of the help section */
    const struct sto_option *options;
    size_t n;
};

extern const struct sto_option_table sto_common_table, sto_engine_table, sto_study_table, sto_sampling_table,
    sto_run_table, sto_batch_table, sto_chat_table, sto_turn_table, sto_bench_table, sto_devices_table,
    sto_info_table, sto_embed_table, sto_tokenize_table, sto_template_table, sto_logits_table, sto_ppl_table,
    sto_verify_table, sto_tune_table, sto_plan_table;

enum { STO_MAX_TABLES = 8 };

void sto_options_defaults(struct sto_options *options);

/* Reads argv[1 .. argc), which follows a command's name. `tables` ends with NULL. More than max_models MODEL arguments
 * are an error. STO_ERR_USAGE otherwise too. options is filled with defaults first. */
enum sto_status sto_options_parse(const struct sto_option_table *const *tables, size_t max_models, int argc,
                                  char **argv, struct sto_options *options, struct sto_error *err);

/* Points params.biases at the list that was given, and params.seed at --seed or a fresh one; call once parsed. */
void sto_options_sampling(struct sto_options *options);
/* --device, else the environment's STRATO_DEVICE where it is not empty, else NULL: the best one. */
const char *sto_options_device_name(const struct sto_options *options);
void sto_options_device(const struct sto_options *options, struct sto_device_params *params);
/* All but the lanes of --place, which take a model: sto_stack_create_engine. */
void sto_options_engine(const struct sto_options *options, struct sto_engine_params *params);

/* "1,2,3" as ids (free with sto_free); blanks around numbers are fine. The error names `option` and the bad item. */
enum sto_status sto_parse_ids(const char *option, const char *text, uint32_t **ids, size_t *n, struct sto_error *err);
/* "6G", "512M", "1.5GiB", "1000". False: not a size, or more than 2^63 bytes. */
bool sto_parse_size(const char *text, uint64_t *bytes);
/* The range of a number option in words: "0 or more", "above 0, at most 1". */
void sto_option_range(const struct sto_option *option, char *text, size_t size);
/* What the option has in `options`, for help; "" where there is nothing to show. */
void sto_option_value(const struct sto_option *option, const struct sto_options *options, char *text, size_t size);
/* How many single-character edits (insert, drop, replace, swap neighbours) lie between two words, at most 99. */
unsigned sto_edit_distance(const char *a, const char *b);

#endif
