/* Opening device, model and engine from a command's options, and reading its input. */
#include "host/cli/stack.h"

#include <stdio.h>
#include <string.h>

#include "host/cli/cli.h"
#include "host/cli/place.h"
#include "host/cli/plan.h"
#include "host/cli/term.h"
#include "models/model.h"
#include "runtime/base/mem.h"
#include "runtime/base/os.h"

enum { MAX_INPUT_BYTES = 1 << 30 };

static void say_what_does_not_fit(const struct sto_stack *stack)
{
    const struct sto_engine_info *info = &stack->info;
    const bool streams = info->streamed_layers > 0, computes = info->cpu_layers > 0;
    char line[288], bytes[32], disk[32], from_disk[64] = "";
    sto_bytes_text(info->streamed_bytes + info->cpu_bytes, bytes, sizeof bytes);
    sto_bytes_text(info->disk_bytes, disk, sizeof disk);
    if (info->disk_bytes > 0)
        (void)snprintf(from_disk, sizeof from_disk, " (%s of it from disk)", disk);
    (void)snprintf(line, sizeof line, "not all layers fit on the device: %u of %u (%s) are %s%s%s%s, which is slow",
                   (unsigned)(info->streamed_layers + info->cpu_layers), (unsigned)sto_model_n_layers(stack->model),
                   bytes, streams ? "copied there for each step" : "", from_disk,
                   streams && computes ? ", or " : "", computes ? "computed by the processor" : "");
    sto_print_message(STO_LOG_WARNING, line);
}

bool sto_stack_is_without_device(const struct sto_engine_info *info)
{
    return info->cpu_layers > 0 && info->weight_bytes == 0;
}

const char *sto_lanes_text(const struct sto_engine_info *info, uint32_t n_layers, char *text)
{
    size_t n = 0;
    text[0] = '\0';
    if (info->streamed_layers > 0)
        n = (size_t)snprintf(text, STO_LANES_TEXT_BYTES, ", %u of %u layers streamed", (unsigned)info->streamed_layers,
                             (unsigned)n_layers);
    if (info->cpu_layers == n_layers)
        n = (size_t)snprintf(text, STO_LANES_TEXT_BYTES, ", all layers on the processor");
    else if (info->cpu_layers > 0 && n > 0)
        n += (size_t)snprintf(text + n, STO_LANES_TEXT_BYTES - n, ", %u on the processor", (unsigned)info->cpu_layers);
    else if (info->cpu_layers > 0)
        n = (size_t)snprintf(text, STO_LANES_TEXT_BYTES, ", %u of %u layers on the processor",
                             (unsigned)info->cpu_layers, (unsigned)n_layers);
    if (info->phased_layers > 0)
        (void)snprintf(text + n, STO_LANES_TEXT_BYTES - n, " (%s streamed for prompts)",
                       info->phased_layers == info->cpu_layers ? "which are" : "some are");
    return text;
}

static void name_what_computes(struct sto_stack *stack)
{
    const struct sto_engine_info *info = &stack->info;
    if (info->cpu_layers == 0)
        return;
    (void)snprintf(stack->processor, sizeof stack->processor, "the processor (%s, %u %s)", info->cpu_level,
                   (unsigned)info->cpu_threads, info->cpu_threads == 1 ? "thread" : "threads");
    if (stack->device != NULL)
        (void)snprintf(stack->both, sizeof stack->both, "%s and %s", sto_device_name(stack->device), stack->processor);
}

/* ---- the processor by default ---- */

static bool needs_device(const char *place)
{
    return place == NULL || sto_place_needs_device(place);
}

/* Whether an option or the environment says something that only a device can do. */
static bool speaks_of_device(const struct sto_options *o)
{
    return sto_options_device_name(o) != NULL || o->common.vram_bytes != 0 || o->common.pinned_bytes != 0 ||
           o->common.ring != 0 || o->common.copy != STO_COPY_AUTO || o->common.sim != NULL || o->common.validation ||
           o->common.no_f16 || o->common.no_int_dot || o->common.no_self_test || o->common.subgroup_size != 0 ||
           o->own.shape != NULL || o->own.sweep == STO_SWEEP_VRAM;
}

/* The processor reads all weights into memory; a larger model is better off with what a plan makes of it. */
static bool fits_main_memory(const struct sto_options *options, const struct sto_model *model)
{
    const uint64_t ram = options->common.ram_bytes != 0 ? options->common.ram_bytes : sto_ram_bytes();
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < model->n_weights; i++)
        bytes += model->weights[i].bytes;
    return ram == 0 || bytes <= ram / 4 * 3;
}

bool sto_stack_prefers_processor(const struct sto_options *options, const struct sto_device *device,
                                 const struct sto_model *model)
{
    return options->common.place == NULL && !speaks_of_device(options) &&
           sto_device_get_snapshot(device)->kind == STO_DEVICE_CPU && fits_main_memory(options, model);
}

static void settle_place(struct sto_stack *stack, const struct sto_options *options)
{
    if (stack->place == NULL)
        stack->place = options->common.place;
    if (stack->device != NULL && sto_stack_prefers_processor(options, stack->device, stack->model))
        stack->place = "cpu";
}

enum sto_status sto_stack_open_device(struct sto_stack *stack, const struct sto_options *options, struct sto_error *err)
{
    const struct sto_callbacks callbacks = sto_term_callbacks();
    struct sto_device_params params;
    sto_options_device(options, &params);
    stack->place = options->common.place;
    if (!needs_device(stack->place))
        return STO_OK;
    const enum sto_status status = sto_device_open(&params, &callbacks, &stack->device, err);
    if (status != STO_OK)
        return status;
    settle_place(stack, options);
    if (!needs_device(stack->place)) {
        callbacks.log(callbacks.user, STO_LOG_INFO, "Vulkan has no GPU here, only a driver for the processor, which "
                                                    "computes by itself faster; --device 0 would use the driver");
        sto_device_close(stack->device);
        stack->device = NULL;
    }
    return STO_OK;
}

enum sto_status sto_stack_create_engine(struct sto_stack *stack, const struct sto_options *options,
                                        const struct sto_engine_params *params, struct sto_error *err)
{
    const struct sto_callbacks callbacks = sto_term_callbacks();
    struct sto_engine_params with_lanes = *params;
    struct sto_model_plan plan = {0};
    enum sto_lane *lanes = NULL;
    bool planned = false;
    enum sto_status status = STO_OK;
    settle_place(stack, options);
    if (options->common.sim != NULL && !needs_device(stack->place))
        status = sto_fail(err, STO_ERR_USAGE, "--sim: a card is simulated, and with --place cpu there is none");
    if (status == STO_OK && stack->place != NULL)
        status = sto_parse_place(stack->place, sto_model_n_layers(stack->model), &lanes, err);
    with_lanes.lanes = lanes;
    if (status == STO_OK && stack->place == NULL)
        status = sto_cli_plan_engine(options, stack->device, stack->model, &with_lanes, &plan, &planned, err);
    if (status == STO_OK)
        status = sto_engine_create(needs_device(stack->place) ? stack->device : NULL, stack->model, &with_lanes,
                                   &callbacks, &stack->engine, err);
    if (planned)
        sto_model_plan_free(&plan);
    sto_free(lanes);
    sto_term_clear();
    if (status != STO_OK)
        return status;
    sto_engine_get_info(stack->engine, &stack->info);
    name_what_computes(stack);
    if (stack->info.streamed_layers + stack->info.cpu_layers > 0 && stack->place == NULL)
        say_what_does_not_fit(stack);
    return STO_OK;
}

const char *sto_stack_device(const struct sto_stack *stack)
{
    if (stack->info.cpu_layers == 0)
        return sto_device_name(stack->device);
    return sto_stack_is_without_device(&stack->info) ? stack->processor : stack->both;
}

uint64_t sto_stack_device_peak_bytes(const struct sto_stack *stack)
{
    return stack->device != NULL ? sto_device_peak_bytes(stack->device) : 0;
}

enum sto_status sto_stack_open(struct sto_stack *stack, const struct sto_options *options,
                               void (*change)(const struct sto_options *options, const struct sto_model *model,
                                              struct sto_engine_params *params),
                               struct sto_error *err)
{
    const struct sto_callbacks callbacks = sto_term_callbacks();
    struct sto_engine_params engine_params = {0};
    const char *path = NULL;
    enum sto_status status;
    *stack = (struct sto_stack){0};
    if ((status = sto_cli_model(options, &path, err)) != STO_OK)
        return status;
    sto_options_engine(options, &engine_params);
    if ((status = sto_model_open(path, NULL, &callbacks, &stack->model, err)) != STO_OK)
        goto fail;
    if (change != NULL)
        change(options, stack->model, &engine_params);
    if ((status = sto_stack_open_device(stack, options, err)) != STO_OK)
        goto fail;
    if ((status = sto_stack_create_engine(stack, options, &engine_params, err)) != STO_OK)
        goto fail;
    return STO_OK;
fail:
    sto_term_clear();
    sto_stack_close(stack);
    return status;
}

void sto_stack_close(struct sto_stack *stack)
{
    sto_engine_destroy(stack->engine);
    sto_device_close(stack->device);
    sto_model_close(stack->model);
    *stack = (struct sto_stack){0};
}

enum sto_status sto_find_dry_breakers(const struct sto_options *options, const struct sto_generator *generator,
                                      uint32_t *ids, struct sto_error *err)
{
    const struct sto_text_list *texts = &options->sampling.dry_breakers;
    for (size_t i = 0; i < texts->n; i++) {
        ids[i] = sto_generator_find_token(generator, texts->items[i]);
        if (ids[i] == UINT32_MAX)
            return sto_fail(err, STO_ERR_USAGE, "--dry-breaker '%s' is not a token of this model", texts->items[i]);
    }
    return STO_OK;
}

static enum sto_status read_stdin(char **text, size_t *size, struct sto_error *err)
{
    size_t capacity = 0, n = 0, got = 0;
    char *data = NULL;
    do {
        if (capacity - n < 4096) {
            capacity = 2 * capacity + 65536;
            char *grown = capacity <= MAX_INPUT_BYTES ? sto_realloc(data, capacity + 1, 1) : NULL;
            if (grown == NULL) {
                sto_free(data);
                return sto_fail(err, STO_ERR_NO_FIT, "standard input: more than %zu bytes", n);
            }
            data = grown;
        }
        got = fread(data + n, 1, capacity - n, stdin);
        n += got;
    } while (got > 0);
    if (ferror(stdin)) {
        sto_free(data);
        return sto_fail(err, STO_ERR_FAILED, "standard input cannot be read");
    }
    data[n] = '\0';
    *text = data;
    *size = n;
    return STO_OK;
}

enum sto_status sto_read_input(const char *path, char **text, size_t *size, struct sto_error *err)
{
    if (path == NULL)
        return read_stdin(text, size, err);
    return sto_file_read(path, MAX_INPUT_BYTES, text, size, err);
}
