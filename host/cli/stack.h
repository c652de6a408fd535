/* What commands that run a model need: device, model, engine, opened from the options in one call. */
#ifndef STO_CLI_STACK_H
#define STO_CLI_STACK_H

#include "host/cli/options.h"
#include "host/generate.h"
#include "runtime/strato.h"

struct sto_stack {
    struct sto_device *device;
    struct sto_model *model;
    struct sto_engine *engine;
    struct sto_engine_info info;
    const char *place;  /* --place; "cpu" where nobody asked and Vulkan has no GPU */
    char processor[48]; /* "the processor (avx2, 4 threads)", when layers are on it */
    char both[320];     /* sto_stack_device, when others are on the device      */
};

/* Opens all three, with progress and messages on stderr. The model is opened first: a bad file is reported even where
 * there is no device. change, when not NULL, may alter the engine's parameters before it is made. */
enum sto_status sto_stack_open(struct sto_stack *stack, const struct sto_options *options,
                               void (*change)(const struct sto_options *options, const struct sto_model *model,
                                              struct sto_engine_params *params),
                               struct sto_error *err);
/* The engine alone, for commands that open device and model themselves: params, with the lanes that --place asks for,
 * or those of a plan where the model does not fit. Says how much is streamed where nobody asked for it. Fills in
 * stack->engine and stack->info. */
enum sto_status sto_stack_create_engine(struct sto_stack *stack, const struct sto_options *options,
                                        const struct sto_engine_params *params, struct sto_error *err);
/* The device, unless all layers are asked for on the processor, or belong there by default: Vulkan finds nothing but a
 * driver that computes on the processor, which the cpu lane does faster, and no option speaks of a device. NULL then.
 * For commands that open the model themselves; sets stack->device and stack->place. */
enum sto_status sto_stack_open_device(struct sto_stack *stack, const struct sto_options *options,
                                      struct sto_error *err);
/* Whether they belong there by default, with this device (not NULL). */
bool sto_stack_prefers_processor(const struct sto_options *options, const struct sto_device *device,
                                 const struct sto_model *model);
/* What computes, for people: the device's name, or "the processor (avx2, 4 threads)", or both. Lives as long as the
 * stack. */
const char *sto_stack_device(const struct sto_stack *stack);
/* Whether nothing is on the device, not even the embedding. */
bool sto_stack_is_without_device(const struct sto_engine_info *info);
/* ", 6 of 36 layers streamed, 4 on the processor"; nothing where all are resident. Returns text. */
enum { STO_LANES_TEXT_BYTES = 96 };
const char *sto_lanes_text(const struct sto_engine_info *info, uint32_t n_layers, char *text);
/* sto_device_peak_bytes; 0 without a device. */
uint64_t sto_stack_device_peak_bytes(const struct sto_stack *stack);
void sto_stack_close(struct sto_stack *stack);

/* The tokens that --dry-breaker names, ids [STO_MAX_LIST]. STO_ERR_USAGE: a text is not one token of this model. */
enum sto_status sto_find_dry_breakers(const struct sto_options *options, const struct sto_generator *generator,
                                      uint32_t *ids, struct sto_error *err);

/* All of standard input, or of a file (free with sto_free). NUL-terminated; size does not count the NUL. */
enum sto_status sto_read_input(const char *path, char **text, size_t *size, struct sto_error *err);

#endif
