/* Every command of the program: what its help says and which options it takes. */
#include "host/cli/cli.h"

#include <string.h>

#define MODEL_TEXT                                                                                                     \
    "MODEL is a path to a GGUF file (the first shard of a split one). Without it the bundled demo model is used."
#define ENGINE_TABLES &sto_engine_table, &sto_study_table, &sto_common_table

const struct sto_command sto_commands[] = {
    {
        .name = "run",
        .summary = "generate text from a prompt",
        .usage = {"run [MODEL] [-p TEXT | -f FILE | < stdin] [-n N] [options]",
                  "run [MODEL] --batch-file FILE [-o FILE] [--resume] [-n N] [options]"},
        .details = "Sends the prompt to the model as one turn of a conversation, in the model's own chat form, and "
                   "prints what it writes as it is written. With --raw the model continues the prompt instead. "
                   "Ctrl-C stops and keeps what was written, with exit code 0; a second one ends the program at once "
                   "(130).\n\n" MODEL_TEXT "\n\n"
                   "A terminal shows thoughts dim and calls of tools as [call NAME ARGUMENTS]. A file or a pipe gets "
                   "all that the model writes, with its own marks of thoughts and calls; with --fold the answer "
                   "without thoughts. --json takes it apart: \"text\" is everything, \"reasoning\", \"content\" "
                   "and \"tool_calls\" are its parts.\n\n"
                   "Sampling runs in a fixed order: logit bias, the three penalties, DRY, top-k, typical, top-p, "
                   "min-p, XTC, temperature, draw. Mirostat takes the place of top-k to XTC and runs after "
                   "temperature. The same seed gives the same text again; --temp 0 needs none.\n\n"
                   "--batch-file takes many prompts through the model together, which costs little more than one "
                   "where weights are streamed. A line is a prompt, or in a file of JSON lines an object: \"prompt\" "
                   "or \"messages\", and as wanted \"id\", \"system\", \"max_tokens\", \"stop\", \"raw\", "
                   "\"temperature\", \"top_k\", \"top_p\", \"min_p\", \"seed\". Each result is a line of JSON, "
                   "written as soon as it is there: \"index\" of the prompt from 0, its \"id\", \"text\" or "
                   "\"error\", \"stop\"; with --json ids of tokens too. What was written survives Ctrl-C and worse; "
                   "--resume does the rest. It refuses results of other prompts, of another model or of other "
                   "settings. The seed is 0 unless given, and every line draws with one of its own, made of it and of "
                   "the line's id or number. Exit code 1 when a prompt failed; the others have their results.",
        .tables = {&sto_run_table, &sto_batch_table, &sto_turn_table, &sto_sampling_table, ENGINE_TABLES},
        .examples = {{"strato run -p \"Tell me about foxes.\"", "the demo model, a few seconds"},
                     {"strato run qwen3-8b.gguf -p \"Why is the sky blue?\" --temp 0", "the likeliest answer"},
                     {"strato run qwen3-8b.gguf --raw -f start.txt -n 200 --stop \"###\"", "continue a text"},
                     {"strato run qwen3-8b.gguf -f letter.txt --fold > answer.txt", "thoughts left out"},
                     {"strato run -p Hello --json", "for programs"},
                     {"strato run qwen3-8b.gguf --batch-file questions.txt -o answers.jsonl -n 500", "many prompts"}},
        .exits = "012345",
        .max_models = 1,
    },
    {
        .name = "chat",
        .summary = "talk with a model in the terminal",
        .usage = {"chat [MODEL] [options]"},
        .details = "A conversation: type a message, Enter sends it. A line that ends with a backslash goes on in the "
                   "next one; pasted text goes into the message whole. Ctrl-C stops an answer and keeps the "
                   "conversation, Ctrl-D leaves; /help lists the commands, such as /save and /undo. Thoughts are dim, "
                   "or with --fold hidden. When standard input is no terminal each line of it is a message or a "
                   "command, and answers are written without thoughts.\n\n"
                   "A model that is offered --tools may call them: the call is shown, and /result TEXT is what it "
                   "gave. strato runs no tool itself.\n\n"
                   "What was said before stays in the KV cache, so that only the new message is evaluated. When the "
                   "context is nearly full the oldest turns are left out, which is said; the system's message "
                   "stays.\n\n" MODEL_TEXT,
        .tables = {&sto_turn_table, &sto_chat_table, &sto_sampling_table, ENGINE_TABLES},
        .examples = {{"strato chat", "the demo model"},
                     {"strato chat qwen3-8b.gguf --system \"Answer in one sentence.\"", "a conversation"},
                     {"strato chat qwen3-8b.gguf --think off < questions.txt", "a message per line"}},
        .exits = "012345",
        .max_models = 1,
    },
    {
        .name = "serve",
        .summary = "serve models over HTTP",
        .usage = {"serve [MODEL ...] [options]"},
        .details = "HTTP APIs that existing tools speak, on the loopback address by default.\n\n" MODEL_TEXT,
        .tables = {ENGINE_TABLES},
        .examples = {{"strato serve qwen3-8b.gguf", "one model"}},
        .exits = "012345",
        .max_models = STO_MAX_MODELS,
    },
    {
        .name = "bench",
        .summary = "measure tokens per second",
        .usage = {"bench [MODEL | --shape NAME:FORMAT] [-p LIST] [-n LIST] [-d LIST] [-b LIST] [-ub LIST] [-r N] "
                  "[-o FORMAT] [--sweep context|batch|vram [--budgets LIST]] [--sim FILE]"},
        .details = "Measures prompt processing (pp512: 512 tokens together) and generation (tg128: 128 tokens one by "
                   "one), each with every number of tokens in the context before (@ d4096), as llama-bench is asked "
                   "for them. A LIST is numbers and ranges with commas: 512, 128,256, 1-4, 0-4096+1024, 1-512*2.\n\n"
                   "Each test is warmed up until its time no longer changes, then repeated; tokens are random. GB/s "
                   "counts the least that must be read: the weights once per pass (per token when generating) and the "
                   "context's keys and values; it stands beside the bandwidth of this device, measured in the same "
                   "run: the best of reading, copying and filling buffers of more than four times the last cache. "
                   "\"1st tok\" is the time from the prompt to the first token.\n\n"
                   "Clocks, power, temperature, PCIe link and what limits the clocks are read ten times a second where "
                   "NVML or the kernel tells them. A test during which the GPU was slowed down by temperature or by "
                   "the board has samples and no average, and the exit code is 1; running at the power limit is how "
                   "cards are meant to run, and is only noted. Memory that should be on the device and seems to lie in "
                   "system memory is said.\n\n"
                   "csv, json and jsonl have llama-bench's field names where they mean the same. --sweep context goes "
                   "over depths, --sweep batch over ubatches, as CSV; bench/plot draws them and bench/compare says "
                   "what changed between two results. --sweep vram goes over budgets of device memory, each with its "
                   "own plan, and prints what was predicted and the rooflines beside what was measured.\n\n"
                   "--sim FILE stands for a card with the rates in FILE, a line each, as --rates of strato plan has "
                   "them: vram, product, link, link_back, dram, dram_shared, cpu (GB/s), compute, cpu_compute "
                   "(TFLOP/s), crossing, submit, latency (us), jitter (%), seed. Batches, copies and semaphores are "
                   "the real ones, kernels are not run, and results say that they are simulated.\n\n"
                   "--shape makes random weights on the device, so that no file is "
                   "needed.\n\n" MODEL_TEXT,
        .tables = {&sto_bench_table, ENGINE_TABLES},
        .examples = {{"strato bench qwen3-8b.gguf -p 512 -n 128", "one prompt length, one generation length"},
                     {"strato bench --shape 8b:q4_k_m -d 0,4096,16384 --synthetic",
                      "Qwen3-8B's shape at three depths, no file needed"},
                     {"strato bench qwen3-8b.gguf -o json > before.json", "for bench/compare"},
                     {"strato bench qwen3-8b.gguf --sweep context > sweep.csv", "for bench/plot"},
                     {"strato bench --shape 8b:q4_k_m --sweep vram --sim card.txt > sweep.csv",
                      "tokens/s of a card that is not here"}},
        .exits = "012345",
        .max_models = 1,
    },
    {
        .name = "plan",
        .summary = "say where layers would go and how fast it would be",
        .usage = {"plan MODEL [--vram SIZE] [--ram SIZE] [--ctx N] [--ubatch N] [--kv FORMAT] [--rates LIST|FILE] "
                  "[--json]"},
        .details = "Prints which layers would lie on the device and which would be copied there for each step, what "
                   "else takes memory, the tokens per second to expect and what limits them, and what 1 GiB more or "
                   "less would change. Nothing is loaded: a file that holds the header alone will do.\n\n"
                   "The rates that predictions rest on (memory, link, kernels) are measured once per device, driver "
                   "and build, in about a second, and kept. --rates gives others, in GB/s, TFLOP/s and microseconds: "
                   "vram, product, compute, link, link_unpinned, link_back, link_back_unpinned, dram, dram_shared, "
                   "disk, cpu, cpu_compute, crossing, step; as vram=448,link=13,compute=15 or as lines of a file. "
                   "With --vram and the rates vram and link no device is looked at.\n\n" MODEL_TEXT,
        .tables = {&sto_plan_table, ENGINE_TABLES},
        .examples = {{"strato plan qwen3-8b.gguf", "on this machine"},
                     {"strato plan qwen3-8b.gguf --vram 6G --ctx 8192", "if it had 6 GiB"},
                     {"strato plan --shape 14b:q4_k_m --vram 8G --rates vram=272,link=13,compute=15",
                      "a card that is not here, a model that is not here"}},
        .exits = "012345",
        .max_models = 1,
    },
    {
        .name = "info",
        .summary = "print what is in a model file",
        .usage = {"info [MODEL] [--json]"},
        .details = "Prints metadata and tensors, and what of them this program would not support. A file that holds "
                   "the header alone will do.\n\n" MODEL_TEXT,
        .tables = {&sto_info_table, &sto_common_table},
        .examples = {{"strato info qwen3-8b.gguf", "metadata, tensors, formats"}},
        .exits = "0123",
        .max_models = 1,
    },
    {
        .name = "devices",
        .summary = "list devices and how they would be used",
        .usage = {"devices [--device N|NAME] [--json]", "devices --snapshot N",
                  "devices --kernels [--kernel NAME] [--device N|NAME] [--json]"},
        .details = "Prints the Vulkan devices of this machine with the limits that matter, which kernel variants each "
                   "would get, and what the self-test and strato tune have found out: which kernels answer wrongly or "
                   "slowly and are set aside, where 8-bit activations are the default, which constants are tuned.\n\n"
                   "The self-test runs when a model is first used on a device, for up to two seconds: each kernel that "
                   "the model needs answers a few odd shapes. A wrong answer sets the kernel aside for this driver and "
                   "build. strato tune --reset forgets it, --no-self-test uses all kernels all the same.",
        .tables = {&sto_devices_table, ENGINE_TABLES},
        .examples = {{"strato devices", "a table"}, {"strato devices --json", "for programs"}},
        .exits = "0124",
    },
    {
        .name = "verify",
        .summary = "check every kernel on a device against a reference",
        .usage = {"verify [--device N|NAME] [--kernel NAME] [--json]"},
        .details = "Runs every kernel variant that the device can run on odd shapes, and compares with results "
                   "computed in double precision on the processor. Poison around every buffer shows what reads or "
                   "writes beyond its own. Exit code 1 when a kernel is wrong.",
        .tables = {&sto_verify_table, ENGINE_TABLES},
        .examples = {{"strato verify --device 1", "the second device"}},
        .exits = "0124",
    },
    {
        .name = "tune",
        .summary = "find and keep a device's best settings",
        .usage = {"tune [--device N|NAME] [--kernel NAME] [--json]", "tune --reset [--device N|NAME]"},
        .details = "Changes the constants of each matrix kernel that the device uses, one at a time: each setting is "
                   "checked against the reference, then raced against the best one so far. Then specialised kernels "
                   "race against portable ones, and 8-bit activations against float products. What is found is kept "
                   "in the cache folder for this device, driver and build, and used from the next start on; strato "
                   "devices shows it. It takes minutes, most of them the driver's compiler; Ctrl-C stops it and keeps "
                   "what was found until then.\n\n"
                   "Tuning may change the last bits of logits, as another card would: the workgroup size of the "
                   "matrix-vector kernels decides in which order a row is added up. With --math exact "
                   "--deterministic a token's logits still do not depend on what shares its batch.",
        .tables = {&sto_tune_table, ENGINE_TABLES},
        .examples = {{"strato tune", "the best device"},
                     {"strato tune --kernel matvec_q4_k", "one kernel, seconds"},
                     {"strato tune --reset", "as planned again; the self-test runs anew"}},
        .exits = "0124",
    },
    {
        .name = "embed",
        .summary = "turn text into vectors",
        .usage = {"embed MODEL [-p TEXT | --jsonl] [options]"},
        .details = "Prints the embedding of a text, or of each line of standard input.",
        .tables = {&sto_embed_table, ENGINE_TABLES},
        .examples = {{"strato embed model.gguf -p \"a red fox\"", "one vector"}},
        .exits = "012345",
        .max_models = 1,
    },
    {
        .name = "pull",
        .summary = "fetch a model by name",
        .usage = {"pull NAME"},
        .details = "Downloads a model into the local store.",
        .tables = {&sto_common_table},
        .examples = {{"strato pull NAME", "fetch, then: strato run NAME"}},
        .exits = "012",
        .max_models = 1,
    },
    {
        .name = "list",
        .summary = "list the models of the local store",
        .usage = {"list"},
        .details = "Prints names and sizes of the models in the local store.",
        .tables = {&sto_common_table},
        .examples = {{"strato list", "names and sizes"}},
        .exits = "012",
    },
    {
        .name = "show",
        .summary = "describe a model of the local store",
        .usage = {"show NAME"},
        .details = "Prints where a model of the local store came from and what it is.",
        .tables = {&sto_common_table},
        .examples = {{"strato show NAME", "its origin, licence and size"}},
        .exits = "012",
        .max_models = 1,
    },
    {
        .name = "rm",
        .summary = "remove a model from the local store",
        .usage = {"rm NAME"},
        .details = "Deletes a model from the local store.",
        .tables = {&sto_common_table},
        .examples = {{"strato rm NAME", "free its space"}},
        .exits = "012",
        .max_models = 1,
    },
    {
        .name = "tokenize",
        .summary = "turn text into token ids",
        .usage = {"tokenize [MODEL] [--special] [--no-bos] [-p TEXT | --jsonl | < stdin]"},
        .details = "Prints the ids of a text as a JSON array.\n\n" MODEL_TEXT,
        .tables = {&sto_tokenize_table, &sto_common_table},
        .examples = {{"strato tokenize qwen3-8b.gguf -p \"Hello, world\"", "one array"},
                     {"strato tokenize qwen3-8b.gguf --jsonl < lines.jsonl", "one array per line"}},
        .exits = "0123",
        .max_models = 1,
    },
    {
        .name = "template",
        .summary = "render a chat template",
        .usage = {"template [MODEL | -t FILE] [--now TIME] [--jsonl]"},
        .details = "Renders conversations with a model's chat template: {\"messages\", \"tools\", \"kwargs\", "
                   "\"add_generation_prompt\", \"bos_token\", \"eos_token\"} in, {\"text\"} or {\"error\"} out. All "
                   "but \"messages\" may be left out: no \"tools\" leaves that variable undefined, null makes it none; "
                   "tokens that are left out are the model's, null leaves them undefined; \"kwargs\" holds further "
                   "variables, such as enable_thinking.\n\nWithout --jsonl one conversation is read, and one that "
                   "cannot be rendered fails the command.\n\n" MODEL_TEXT,
        .tables = {&sto_template_table, &sto_common_table},
        .examples = {{"strato template -t chat.jinja --jsonl < conversations.jsonl", "one result per line"},
                     {"strato template qwen3-8b.gguf < conversation.json", "what the model gets to see"}},
        .exits = "0123",
        .max_models = 1,
    },
    {
        .name = "logits",
        .summary = "write a model's raw logits to a file",
        .usage = {"logits MODEL --tokens 1,2,3 [--all] [--batch N] -o FILE [options]"},
        .details = "Evaluates tokens and writes little-endian 32-bit floats [positions, vocabulary]: of the last "
                   "position, or with --all of every one.",
        .tables = {&sto_logits_table, ENGINE_TABLES},
        .examples = {{"strato logits model.gguf --tokens 1,2,3 --all -o out.f32", "three rows"}},
        .exits = "012345",
        .max_models = 1,
    },
    {
        .name = "ppl",
        .summary = "measure how well a model predicts a text",
        .usage = {"ppl [MODEL] -f FILE [options]"},
        .details =
            "Prints the mean negative log-likelihood per token, its standard error, and the perplexity.\n\n" MODEL_TEXT,
        .tables = {&sto_ppl_table, ENGINE_TABLES},
        .examples = {{"strato ppl qwen3-8b.gguf -f text.txt", "one line"}},
        .exits = "012345",
        .max_models = 1,
    },
};
const size_t sto_n_commands = sizeof sto_commands / sizeof *sto_commands;

const struct sto_command *sto_find_command(const char *name)
{
    for (size_t i = 0; i < sto_n_commands; i++) {
        if (strcmp(sto_commands[i].name, name) == 0)
            return &sto_commands[i];
    }
    return NULL;
}

const char *sto_nearest_command(const char *name)
{
    const char *nearest = NULL;
    unsigned least = 3; /* further away is no likely slip */
    for (size_t i = 0; i < sto_n_commands; i++) {
        const size_t length = strlen(sto_commands[i].name);
        const unsigned distance = sto_edit_distance(name, sto_commands[i].name);
        if (distance < least && distance < length) { /* not a word with nothing in common */
            least = distance;
            nearest = sto_commands[i].name;
        }
    }
    return nearest;
}
