/* The functions that every template has: range, dict, namespace, cycler, joiner, raise_exception, strftime_now. */
#include "host/template_internal.h"

#include <string.h>

#include "runtime/base/os.h"

enum { MAX_RANGE = 100000 };

typedef struct sto_value function(struct sto_run *run, const struct sto_arguments *args);

static struct sto_value range(struct sto_run *run, const struct sto_arguments *args)
{
    struct sto_list *out = sto_run_list(run);
    const bool one = args->positional.n < 2;
    const int64_t from = one ? 0 : sto_argument_int(run, args, 0, "start", 0);
    const int64_t to = sto_argument_int(run, args, one ? 0 : 1, "stop", 0);
    const int64_t step = sto_argument_int(run, args, 2, "step", 1);
    const int64_t far = INT64_MAX / 4;
    if (step == 0 || from > far || from < -far || to > far || to < -far || step > far || step < -far)
        sto_run_fail(run, "range: the step is 0, or a number is too large");
    if (run->failed)
        return sto_value_of_list(out);
    const int64_t n = step > 0 ? (to - from + step - 1) / step : (from - to - step - 1) / -step;
    if (n > MAX_RANGE)
        sto_run_fail(run, "range: more than %d numbers", MAX_RANGE);
    for (int64_t i = 0; i < n && !run->failed; i++)
        sto_run_add(run, out, sto_value_int(from + i * step));
    return sto_value_of_list(out);
}

/* Fields of an object or pairs given first, then the named arguments. */
static struct sto_object *fields(struct sto_run *run, const struct sto_arguments *args)
{
    struct sto_object *object = sto_run_object(run);
    struct sto_value v;
    if (sto_argument(args, 0, NULL, &v) && v.kind == STO_VALUE_OBJECT) {
        for (size_t i = 0; i < v.object->n && !run->failed; i++)
            sto_run_set(run, object, v.object->fields[i].key, v.object->fields[i].value);
    } else if (args->positional.n > 0) {
        const struct sto_list *pairs = sto_iterate(run, v);
        for (size_t i = 0; i < pairs->n && !run->failed; i++) {
            const struct sto_list *pair = sto_iterate(run, pairs->items[i]);
            const struct sto_text *key = pair->n == 2 ? sto_key_text(run, pair->items[0]) : NULL;
            if (key == NULL)
                sto_run_fail(run, "an object is made of pairs of a key and a value");
            else
                sto_run_set(run, object, key, pair->items[1]);
        }
    }
    for (size_t i = 0; i < args->n_named && !run->failed; i++)
        sto_run_set(run, object, args->named[i].name, args->named[i].value);
    return object;
}

static struct sto_value dict(struct sto_run *run, const struct sto_arguments *args)
{
    return sto_value_of_object(fields(run, args));
}

static struct sto_value namespace(struct sto_run *run, const struct sto_arguments *args)
{
    return sto_thing_value(run, (struct sto_thing){.kind = STO_THING_NAMESPACE, .fields = fields(run, args)});
}

static struct sto_value cycler(struct sto_run *run, const struct sto_arguments *args)
{
    struct sto_list *items = sto_run_list(run);
    for (size_t i = 0; i < args->positional.n && !run->failed; i++)
        sto_run_add(run, items, args->positional.items[i]);
    if (items->n == 0)
        sto_run_fail(run, "cycler needs values");
    return sto_thing_value(run, (struct sto_thing){.kind = STO_THING_CYCLER, .items = items});
}

static struct sto_value joiner(struct sto_run *run, const struct sto_arguments *args)
{
    struct sto_list *items = sto_run_list(run);
    struct sto_value separator = sto_text_value(sto_literal(run, ", "));
    sto_argument(args, 0, "sep", &separator);
    sto_run_add(run, items, separator);
    return sto_thing_value(run, (struct sto_thing){.kind = STO_THING_JOINER, .items = items});
}

static struct sto_value raise_exception(struct sto_run *run, const struct sto_arguments *args)
{
    struct sto_value v = sto_text_value(&sto_no_text);
    sto_argument(args, 0, "message", &v);
    const struct sto_text *message = sto_to_text(run, v);
    if (!run->failed)
        run->refusal = message;
    sto_run_fail(run, "%.*s", (int)(message->size < 400 ? message->size : 400), message->data);
    return sto_value_undefined();
}

static struct sto_value strftime_now(struct sto_run *run, const struct sto_arguments *args)
{
    const struct sto_text *format = sto_argument_text(run, args, 0, "format", NULL);
    const int64_t now = run->input->now == STO_TEMPLATE_NOW ? sto_local_seconds() : run->input->now;
    return sto_text_value(sto_format_time(run, format, now));
}

static const struct {
    const char *name;
    function *call;
} functions[] = {{"range", range},
                 {"dict", dict},
                 {"namespace", namespace},
                 {"cycler", cycler},
                 {"joiner", joiner},
                 {"raise_exception", raise_exception},
                 {"strftime_now", strftime_now}};

struct sto_value sto_builtin(struct sto_run *run, struct sto_view name)
{
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        if (sto_view_equals(name, functions[i].name))
            return sto_thing_value(run, (struct sto_thing){.kind = STO_THING_FUNCTION, .name = functions[i].name});
    }
    return sto_value_undefined();
}

struct sto_value sto_call_builtin(struct sto_run *run, const char *name, const struct sto_arguments *args)
{
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        if (strcmp(functions[i].name, name) == 0)
            return functions[i].call(run, args);
    }
    return sto_value_undefined();
}
