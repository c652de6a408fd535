/* Every option of every command, one line each. */
#include "host/cli/options.h"
#include "host/conversation.h"

#include <float.h>
#include <stddef.h>

_Static_assert(sizeof(enum sto_type) == 4 && sizeof(enum sto_math) == 4 && sizeof(int) == 4,
               "choices are written as 4 bytes");

#define AT(field) .offset = offsetof(struct sto_options, field)
#define GIVEN(field) .given = offsetof(struct sto_options, field)
#define RANGE(a, b) .low = (a), .high = (b)
#define TABLE(name, heading)                                                                                           \
    const struct sto_option_table name = {heading, name##_lines, sizeof name##_lines / sizeof *name##_lines}

static const struct sto_choice kv_choices[] = {
    {"f32", STO_TYPE_F32}, {"f16", STO_TYPE_F16}, {"q8_0", STO_TYPE_Q8_0}, {"q4_0", STO_TYPE_Q4_0}, {NULL, 0}};
static const struct sto_choice math_choices[] = {{"auto", STO_MATH_AUTO}, {"exact", STO_MATH_EXACT}, {NULL, 0}};
static const struct sto_choice copy_choices[] = {{"auto", STO_COPY_AUTO}, {"transfer", STO_COPY_TRANSFER},
                                                 {"host", STO_COPY_HOST}, {"queue", STO_COPY_QUEUE}, {NULL, 0}};
static const struct sto_choice mirostat_choices[] = {{"0", 0}, {"2", 2}, {NULL, 0}};
static const struct sto_choice bench_choices[] = {
    {"md", STO_BENCH_MD}, {"csv", STO_BENCH_CSV}, {"json", STO_BENCH_JSON}, {"jsonl", STO_BENCH_JSONL}, {NULL, 0}};
static const struct sto_choice decode_choices[] = {{"draw", STO_BENCH_DRAW}, {"eval", STO_BENCH_EVAL}, {NULL, 0}};
static const struct sto_choice sweep_choices[] = {
    {"context", STO_SWEEP_CONTEXT}, {"batch", STO_SWEEP_BATCH}, {"vram", STO_SWEEP_VRAM}, {NULL, 0}};

static const struct sto_choice thinking_choices[] = {
    {"auto", STO_THINKING_AUTO}, {"on", STO_THINKING_ON}, {"off", STO_THINKING_OFF}, {NULL, 0}};

static const struct sto_option sto_common_table_lines[] = {
    {"--model", "-m", "FILE", "the model, as the MODEL argument", STO_OPTION_MODEL, AT(models)},
    {"--verbose", "-v", NULL, "more messages; twice for still more", STO_OPTION_COUNT, AT(common.verbose)},
    {"--quiet", "-q", NULL, "no progress, no timings, no warnings", STO_OPTION_FLAG, AT(common.quiet)},
};
TABLE(sto_common_table, "General");

static const struct sto_option sto_engine_table_lines[] = {
    {"--device", NULL, "N|NAME", "a device by index or part of its name, or best; default: STRATO_DEVICE (environment)",
     STO_OPTION_TEXT, AT(common.device)},
    {"--vram", NULL, "SIZE", "budget of device memory, such as 6G; default: what is free", STO_OPTION_SIZE,
     AT(common.vram_bytes), RANGE(1, 0x1p63)},
    {"--ram", NULL, "SIZE",
     "budget of host memory for weights and buffers; layers beyond it are read from disk; default: what is free",
     STO_OPTION_SIZE, AT(common.ram_bytes), RANGE(1, 0x1p63)},
    {"--pinned", NULL, "SIZE", "of that, what devices may read directly, which cannot be swapped; default: half",
     STO_OPTION_SIZE, AT(common.pinned_bytes), RANGE(1, 0x1p63)},
    {"--ctx", NULL, "N", "context in tokens; default: fitted to memory", STO_OPTION_U32, AT(common.ctx_tokens),
     RANGE(1, UINT32_MAX)},
    {"--ubatch", NULL, "N", "prompt tokens that go through the layers at once", STO_OPTION_U32,
     AT(common.ubatch_tokens), RANGE(1, 65536)},
    {"--kv", NULL, "FORMAT", "how keys and values are stored: 32, 16, 8.5 or 4.5 bits each", STO_OPTION_CHOICE,
     AT(common.kv_type), GIVEN(common.kv_type_set), .choices = kv_choices, .show_default = true},
    {"--math", NULL, "KIND", "auto: the fastest path measured; exact: float products only", STO_OPTION_CHOICE,
     AT(common.math), .choices = math_choices, .show_default = true},
    {"--deterministic", NULL, NULL, "with --math exact: results do not depend on how tokens are batched",
     STO_OPTION_FLAG, AT(common.deterministic)},
    {"--threads", NULL, "N", "threads of layers on the processor; default: one per core", STO_OPTION_U32,
     AT(common.threads), RANGE(1, 4096)},
    {"--seed", NULL, "N", "seed of everything random; default: another each time", STO_OPTION_U64, AT(common.seed),
     GIVEN(common.seed_set)},
    {"--trace", NULL, "FILE", "write a timeline of the run", STO_OPTION_TEXT, AT(common.trace)},
};
TABLE(sto_engine_table, "Device and memory");

static const struct sto_option sto_study_table_lines[] = {
    {"--place", NULL, "PLAN",
     "lane per layer: resident, stream, phased, cpu (no device at all), or resident:0-19,cpu:20-31",
     STO_OPTION_TEXT, AT(common.place)},
    {"--ring", NULL, "N", "slots of the ring that streamed layers go through", STO_OPTION_U32, AT(common.ring),
     RANGE(1, 64)},
    {"--copy", NULL, "BODY", "how they get there: by a queue of their own, by the host, or among the kernels",
     STO_OPTION_CHOICE, AT(common.copy), .choices = copy_choices, .show_default = true},
    {"--sim", NULL, "FILE", "times as on a card with the rates in FILE, which is simulated", STO_OPTION_TEXT,
     AT(common.sim)},
    {"--validation", NULL, NULL, "Vulkan validation layers with synchronisation checks", STO_OPTION_FLAG,
     AT(common.validation)},
    {"--subgroup", NULL, "N", "subgroup size instead of the planned one", STO_OPTION_U32, AT(common.subgroup_size),
     RANGE(1, 128)},
    {"--no-f16", NULL, NULL, "as if the device had no f16 arithmetic", STO_OPTION_FLAG, AT(common.no_f16)},
    {"--no-int-dot", NULL, NULL, "as if the device had no integer dot product", STO_OPTION_FLAG, AT(common.no_int_dot)},
    {"--no-self-test", NULL, NULL, "use kernels untested and as planned, whatever was found out about them before",
     STO_OPTION_FLAG, AT(common.no_self_test)},
};
TABLE(sto_study_table, "For tests and study");

#define PARAM(field) AT(sampling.params.field), .show_default = true

static const struct sto_option sto_sampling_table_lines[] = {
    {"--temp", NULL, "X", "temperature; 0 always takes the likeliest token", STO_OPTION_F32, PARAM(temperature),
     RANGE(0, FLT_MAX)},
    {"--top-k", NULL, "N", "only the N likeliest tokens; 0: off", STO_OPTION_U32, PARAM(top_k), RANGE(0, UINT32_MAX)},
    {"--top-p", NULL, "X", "only the likeliest tokens that together reach X; 1: off", STO_OPTION_F32, PARAM(top_p),
     RANGE(0, 1), .open_low = true},
    {"--min-p", NULL, "X", "only tokens at least X times as likely as the likeliest; 0: off", STO_OPTION_F32,
     PARAM(min_p), RANGE(0, 1), .open_high = true},
    {"--typical", NULL, "X", "only tokens of typical surprise that together reach X; 1: off", STO_OPTION_F32,
     PARAM(typical_p), RANGE(0, 1), .open_low = true},
    {"--repeat-penalty", NULL, "X", "makes tokens that occurred less likely by this factor; 1: off", STO_OPTION_F32,
     PARAM(repeat_penalty), RANGE(0, FLT_MAX), .open_low = true},
    {"--frequency-penalty", NULL, "X", "taken from a token's logit for each time it occurred; 0: off", STO_OPTION_F32,
     PARAM(frequency_penalty), RANGE(-FLT_MAX, FLT_MAX)},
    {"--presence-penalty", NULL, "X", "taken from a token's logit once it occurred; 0: off", STO_OPTION_F32,
     PARAM(presence_penalty), RANGE(-FLT_MAX, FLT_MAX)},
    {"--repeat-last-n", NULL, "N|all", "tokens that the three penalties look back on", STO_OPTION_U32_ALL,
     PARAM(penalty_last_n), RANGE(0, UINT32_MAX)},
    {"--dry-multiplier", NULL, "X", "DRY: strength of the penalty on repeating a sequence; 0: off", STO_OPTION_F32,
     PARAM(dry_multiplier), RANGE(0, FLT_MAX)},
    {"--dry-base", NULL, "X", "DRY: growth of the penalty with each further token", STO_OPTION_F32, PARAM(dry_base),
     RANGE(1, FLT_MAX)},
    {"--dry-allowed-length", NULL, "N", "DRY: repetitions shorter than this are free", STO_OPTION_U32,
     PARAM(dry_allowed_length), RANGE(0, UINT32_MAX)},
    {"--dry-last-n", NULL, "N|all", "DRY: tokens to look back on", STO_OPTION_U32_ALL, PARAM(dry_last_n),
     RANGE(0, UINT32_MAX)},
    {"--dry-breaker", NULL, "TEXT", "DRY: a token that ends a repetition; may be given several times", STO_OPTION_TEXTS,
     AT(sampling.dry_breakers)},
    {"--xtc-probability", NULL, "X", "XTC: how often the top choices are excluded; 0: off", STO_OPTION_F32,
     PARAM(xtc_probability), RANGE(0, 1)},
    {"--xtc-threshold", NULL, "X", "XTC: what counts as a top choice", STO_OPTION_F32, PARAM(xtc_threshold),
     RANGE(0, 0.5), .open_low = true},
    {"--mirostat", NULL, "V", "mirostat version, in place of top-k to XTC; 0: off", STO_OPTION_CHOICE, PARAM(mirostat),
     .choices = mirostat_choices},
    {"--mirostat-tau", NULL, "X", "mirostat: surprise to aim at, in bits", STO_OPTION_F32, PARAM(mirostat_tau),
     RANGE(0, FLT_MAX)},
    {"--mirostat-eta", NULL, "X", "mirostat: how fast it corrects", STO_OPTION_F32, PARAM(mirostat_eta),
     RANGE(0, FLT_MAX)},
    {"--logit-bias", NULL, "ID=X", "adds X to the logit of a token, -inf forbids it; may be given several times",
     STO_OPTION_BIASES, AT(sampling.biases)},
};
TABLE(sto_sampling_table, "Sampling");

static const struct sto_option sto_run_table_lines[] = {
    {"--prompt", "-p", "TEXT", "the prompt; with neither -p nor -f it is read from standard input", STO_OPTION_TEXT,
     AT(own.prompt)},
    {"--file", "-f", "FILE", "the prompt, from a file", STO_OPTION_TEXT, AT(own.file)},
    {"--n-predict", "-n", "N|all", "tokens to generate at most; default: until the model ends", STO_OPTION_U32_ALL,
     AT(own.max_tokens), RANGE(1, UINT32_MAX)},
    {"--raw", NULL, NULL, "send the prompt as it is, without a chat template", STO_OPTION_FLAG, AT(own.raw)},
    {"--json", NULL, NULL, "print one JSON object: text, reasoning, content, tool_calls, tokens, timings",
     STO_OPTION_FLAG, AT(own.json)},
    {"--stop", NULL, "TEXT", "end before this text; may be given several times", STO_OPTION_TEXTS, AT(own.stops)},
    {"--ignore-eos", NULL, NULL, "go on after the model has ended", STO_OPTION_FLAG, AT(own.ignore_eos)},
};
TABLE(sto_run_table, "Prompt and output");

static const struct sto_option sto_batch_table_lines[] = {
    {"--batch-file", NULL, "FILE", "a prompt per line, as text or JSON objects, generated together; -: standard input",
     STO_OPTION_TEXT, AT(own.batch_file)},
    {"--batch-out", "-o", "FILE", "results, a line of JSON for each prompt that has ended; default: standard output",
     STO_OPTION_TEXT, AT(own.output)},
    {"--resume", NULL, NULL, "go on with the results that --batch-out holds already", STO_OPTION_FLAG,
     AT(own.resume)},
    {"--parallel", NULL, "N", "prompts at a time; default: as many as fit, up to 64", STO_OPTION_U32, AT(own.parallel),
     RANGE(1, 256)},
};
TABLE(sto_batch_table, "Many prompts");

static const struct sto_option sto_chat_table_lines[] = {
    {"--n-predict", "-n", "N|all", "tokens of an answer at most; default: until the model ends", STO_OPTION_U32_ALL,
     AT(own.max_tokens), RANGE(1, UINT32_MAX)},
    {"--stop", NULL, "TEXT", "end an answer before this text; may be given several times", STO_OPTION_TEXTS,
     AT(own.stops)},
};
TABLE(sto_chat_table, "Answers");

static const struct sto_option sto_turn_table_lines[] = {
    {"--system", NULL, "TEXT", "what the model is told before the conversation", STO_OPTION_TEXT, AT(own.system)},
    {"--tools", NULL, "FILE", "tools that the model may call: a JSON list of function definitions", STO_OPTION_TEXT,
     AT(own.tools)},
    {"--think", NULL, "WHEN", "whether the model thinks first; auto: as its template has it", STO_OPTION_CHOICE,
     AT(own.thinking), .choices = thinking_choices, .show_default = true},
    {"--think-budget", NULL, "N", "tokens after which a thought is closed; 0: no limit", STO_OPTION_U32,
     AT(own.thinking_budget), RANGE(0, UINT32_MAX), .show_default = true},
    {"--fold", NULL, NULL, "do not show thoughts, only how long they were", STO_OPTION_FLAG, AT(own.fold)},
};
TABLE(sto_turn_table, "Conversation");

static const struct sto_option sto_bench_table_lines[] = {
    {"--n-prompt", "-p", "LIST", "prompt lengths in tokens, 0: none; default 512", STO_OPTION_TEXTS,
     AT(own.bench_prompt)},
    {"--n-gen", "-n", "LIST", "numbers of tokens to generate, 0: none; default 128", STO_OPTION_TEXTS,
     AT(own.bench_generate)},
    {"--n-depth", "-d", "LIST", "tokens already in the context; default 0", STO_OPTION_TEXTS, AT(own.bench_depth)},
    {"--batch-size", "-b", "LIST", "prompt tokens handed over in one call; default 2048", STO_OPTION_TEXTS,
     AT(own.bench_batch)},
    {"--ubatch-size", "-ub", "LIST", "prompt tokens that go through the layers at once; default 512", STO_OPTION_TEXTS,
     AT(own.bench_ubatch)},
    {"--repetitions", "-r", "N", "measurements of each", STO_OPTION_U32, AT(own.repetitions), RANGE(1, 1000),
     .show_default = true},
    {"--output", "-o", "FORMAT", "form of the result", STO_OPTION_CHOICE, AT(own.bench_output),
     GIVEN(own.bench_output_set),
     .choices = bench_choices, .show_default = true},
    {"--decode", NULL, "HOW",
     "generation: draw tokens on the device, steps queued ahead, as strato run does; or eval random ones one by one",
     STO_OPTION_CHOICE, AT(own.decode), .choices = decode_choices, .show_default = true},
    {"--synthetic", NULL, NULL, "fill the context up to -d with random keys and values, which takes no time",
     STO_OPTION_FLAG, AT(own.synthetic)},
    {"--no-hash", NULL, NULL, "leave out the model file's SHA-256", STO_OPTION_FLAG, AT(own.no_hash)},
    {"--sweep", NULL, "WHAT", "a curve instead of a point", STO_OPTION_CHOICE, AT(own.sweep), .choices = sweep_choices},
    {"--budgets", NULL, "LIST", "--sweep vram: device memory to plan within, such as 2G,4G,6G", STO_OPTION_TEXTS,
     AT(own.budgets)},
    {"--shape", NULL, "NAME:FORMAT", "random weights of a known model's shape, made on the device", STO_OPTION_TEXT,
     AT(own.shape)},
};
TABLE(sto_bench_table, "Measurement");

static const struct sto_option sto_plan_table_lines[] = {
    {"--rates", NULL, "LIST|FILE", "rates instead of measured ones, such as vram=300,link=13", STO_OPTION_TEXT,
     AT(own.rates)},
    {"--depth", NULL, "N", "tokens in the context that speeds are predicted at", STO_OPTION_U32, AT(own.depth_tokens),
     RANGE(0, UINT32_MAX), .show_default = true},
    {"--shape", NULL, "NAME:FORMAT", "a known model's shape: no file needed; see strato help bench", STO_OPTION_TEXT,
     AT(own.shape)},
    {"--json", NULL, NULL, "print one JSON object", STO_OPTION_FLAG, AT(own.json)},
};
TABLE(sto_plan_table, "Plan");

static const struct sto_option sto_devices_table_lines[] = {
    {"--json", NULL, NULL, "print JSON", STO_OPTION_FLAG, AT(own.json)},
    {"--snapshot", NULL, "N", "print all that the driver says of device N, as a file for tests", STO_OPTION_U32,
     AT(own.snapshot), GIVEN(own.snapshot_set), RANGE(0, 255)},
    {"--kernels", NULL, NULL, "compile every kernel and print registers, spills and occupancy, where the driver says",
     STO_OPTION_FLAG, AT(own.kernels)},
    {"--kernel", NULL, "NAME", "with --kernels: only those whose names begin so", STO_OPTION_TEXT, AT(own.kernel)},
};
TABLE(sto_devices_table, "Output");

static const struct sto_option sto_verify_table_lines[] = {
    {"--kernel", NULL, "NAME", "only the kernels whose names begin so", STO_OPTION_TEXT, AT(own.kernel)},
    {"--workgroup", NULL, "N", "workgroup size instead of the planned one, where a kernel allows any", STO_OPTION_U32,
     AT(own.workgroup), RANGE(4, 1024)},
    {"--json", NULL, NULL, "print one JSON object", STO_OPTION_FLAG, AT(own.json)},
};
TABLE(sto_verify_table, "Checks");

static const struct sto_option sto_tune_table_lines[] = {
    {"--kernel", NULL, "NAME", "only the kernels whose names begin so", STO_OPTION_TEXT, AT(own.kernel)},
    {"--race", NULL, "MS", "how long two settings are measured side by side; default 200", STO_OPTION_U32,
     AT(own.race_ms), RANGE(1, 60000)},
    {"--reset", NULL, NULL, "forget what tune and the self-test have found out about the device", STO_OPTION_FLAG,
     AT(own.reset)},
    {"--json", NULL, NULL, "print one JSON object", STO_OPTION_FLAG, AT(own.json)},
};
TABLE(sto_tune_table, "Search");

static const struct sto_option sto_info_table_lines[] = {
    {"--json", NULL, NULL, "print one JSON object", STO_OPTION_FLAG, AT(own.json)},
};
TABLE(sto_info_table, "Output");

static const struct sto_option sto_embed_table_lines[] = {
    {"--prompt", "-p", "TEXT", "the text", STO_OPTION_TEXT, AT(own.prompt)},
    {"--jsonl", NULL, NULL, "one JSON object with \"text\" per line of standard input", STO_OPTION_FLAG, AT(own.jsonl)},
};
TABLE(sto_embed_table, "Input");

static const struct sto_option sto_tokenize_table_lines[] = {
    {"--prompt", "-p", "TEXT", "the text", STO_OPTION_TEXT, AT(own.prompt)},
    {"--special", NULL, NULL, "control tokens written in the text become these tokens", STO_OPTION_FLAG,
     AT(own.special)},
    {"--no-bos", NULL, NULL, "no token at the beginning or end that the vocabulary asks for", STO_OPTION_FLAG,
     AT(own.no_bos)},
    {"--jsonl", NULL, NULL,
     "one {\"text\", \"parse_special\", \"add_special\"} per line in, one array of ids per line out", STO_OPTION_FLAG,
     AT(own.jsonl)},
};
TABLE(sto_tokenize_table, "Input");

static const struct sto_option sto_template_table_lines[] = {
    {"--template", "-t", "FILE", "a template file instead of the model's", STO_OPTION_TEXT, AT(own.template_file)},
    {"--now", NULL, "TIME", "the time that the template sees, such as \"2026-01-15 12:00:00\"; default: now",
     STO_OPTION_TEXT, AT(own.now)},
    {"--jsonl", NULL, NULL, "one conversation per line in, one {\"text\"} or {\"error\"} per line out", STO_OPTION_FLAG,
     AT(own.jsonl)},
};
TABLE(sto_template_table, "Input");

static const struct sto_option sto_logits_table_lines[] = {
    {"--tokens", NULL, "LIST", "ids of the tokens to evaluate, such as 1,2,3", STO_OPTION_TEXT, AT(own.tokens)},
    {"--all", NULL, NULL, "logits of every position, not of the last alone", STO_OPTION_FLAG, AT(own.all)},
    {"--batch", NULL, "N", "evaluate N tokens at a time; default: all at once", STO_OPTION_U32, AT(own.batch_tokens),
     RANGE(1, UINT32_MAX)},
    {"--output", "-o", "FILE", "where to write little-endian f32 [positions, vocabulary]", STO_OPTION_TEXT,
     AT(own.output)},
};
TABLE(sto_logits_table, "Input and output");

static const struct sto_option sto_ppl_table_lines[] = {
    {"--file", "-f", "FILE", "the text", STO_OPTION_TEXT, AT(own.file)},
    {"--json", NULL, NULL, "print JSON", STO_OPTION_FLAG, AT(own.json)},
};
TABLE(sto_ppl_table, "Input");
