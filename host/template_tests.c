/* Tests: what "is" asks. */
#include "host/template_internal.h"

#include <math.h>

#include "host/unicode.h"

typedef bool test(struct sto_run *run, struct sto_value v, struct sto_value argument);

static bool is_defined(struct sto_run *run, struct sto_value v, struct sto_value argument)
{
    (void)run, (void)argument;
    return v.kind != STO_VALUE_UNDEFINED;
}

static bool is_undefined(struct sto_run *run, struct sto_value v, struct sto_value argument)
{
    (void)run, (void)argument;
    return v.kind == STO_VALUE_UNDEFINED;
}

static bool is_none(struct sto_run *run, struct sto_value v, struct sto_value argument)
{
    (void)run, (void)argument;
    return v.kind == STO_VALUE_NULL;
}

static bool is_boolean(struct sto_run *run, struct sto_value v, struct sto_value argument)
{
    (void)run, (void)argument;
    return v.kind == STO_VALUE_BOOL;
}

static bool is_true(struct sto_run *run, struct sto_value v, struct sto_value argument)
{
    (void)run, (void)argument;
    return v.kind == STO_VALUE_BOOL && v.boolean;
}

static bool is_false(struct sto_run *run, struct sto_value v, struct sto_value argument)
{
    (void)run, (void)argument;
    return v.kind == STO_VALUE_BOOL && !v.boolean;
}

static bool is_integer(struct sto_run *run, struct sto_value v, struct sto_value argument)
{
    (void)run, (void)argument;
    return v.kind == STO_VALUE_INT;
}

static bool is_float(struct sto_run *run, struct sto_value v, struct sto_value argument)
{
    (void)run, (void)argument;
    return v.kind == STO_VALUE_FLOAT;
}

static bool is_number(struct sto_run *run, struct sto_value v, struct sto_value argument)
{
    (void)run, (void)argument;
    return v.kind == STO_VALUE_INT || v.kind == STO_VALUE_FLOAT || v.kind == STO_VALUE_BOOL;
}

static bool is_string(struct sto_run *run, struct sto_value v, struct sto_value argument)
{
    (void)run, (void)argument;
    return v.kind == STO_VALUE_TEXT;
}

static bool is_mapping(struct sto_run *run, struct sto_value v, struct sto_value argument)
{
    (void)run, (void)argument;
    return v.kind == STO_VALUE_OBJECT;
}

/* Something undefined can be gone through, and has a length: it is empty. */
static bool is_iterable(struct sto_run *run, struct sto_value v, struct sto_value argument)
{
    (void)run, (void)argument;
    return v.kind == STO_VALUE_TEXT || v.kind == STO_VALUE_LIST || v.kind == STO_VALUE_OBJECT ||
           v.kind == STO_VALUE_UNDEFINED;
}

static bool is_sequence(struct sto_run *run, struct sto_value v, struct sto_value argument)
{
    return is_iterable(run, v, argument) && !(v.kind == STO_VALUE_LIST && v.list->form == STO_LIST_GENERATOR);
}

static bool is_callable(struct sto_run *run, struct sto_value v, struct sto_value argument)
{
    (void)run, (void)argument;
    return v.kind == STO_VALUE_OPAQUE && sto_thing_of(v, STO_THING_NAMESPACE) == NULL;
}

/* v modulo n, or an error. */
static int64_t modulo(struct sto_run *run, struct sto_value v, struct sto_value n)
{
    const struct sto_value rest = sto_binary(run, STO_OP_MOD, v, n);
    if (rest.kind == STO_VALUE_FLOAT)
        return rest.number != 0;
    return rest.kind == STO_VALUE_INT ? rest.integer : 1;
}

static bool is_odd(struct sto_run *run, struct sto_value v, struct sto_value argument)
{
    (void)argument;
    return modulo(run, v, sto_value_int(2)) == 1;
}

static bool is_even(struct sto_run *run, struct sto_value v, struct sto_value argument)
{
    (void)argument;
    return modulo(run, v, sto_value_int(2)) == 0;
}

static bool is_divisible(struct sto_run *run, struct sto_value v, struct sto_value argument)
{
    return modulo(run, v, argument) == 0;
}

static bool is_equal(struct sto_run *run, struct sto_value v, struct sto_value argument)
{
    return sto_compare(run, STO_OP_EQ, v, argument);
}

static bool is_unequal(struct sto_run *run, struct sto_value v, struct sto_value argument)
{
    return sto_compare(run, STO_OP_NE, v, argument);
}

static bool is_less(struct sto_run *run, struct sto_value v, struct sto_value argument)
{
    return sto_compare(run, STO_OP_LT, v, argument);
}

static bool is_less_or_equal(struct sto_run *run, struct sto_value v, struct sto_value argument)
{
    return sto_compare(run, STO_OP_LE, v, argument);
}

static bool is_greater(struct sto_run *run, struct sto_value v, struct sto_value argument)
{
    return sto_compare(run, STO_OP_GT, v, argument);
}

static bool is_greater_or_equal(struct sto_run *run, struct sto_value v, struct sto_value argument)
{
    return sto_compare(run, STO_OP_GE, v, argument);
}

static bool is_in(struct sto_run *run, struct sto_value v, struct sto_value argument)
{
    return sto_compare(run, STO_OP_IN, v, argument);
}

static bool is_same(struct sto_run *run, struct sto_value v, struct sto_value argument)
{
    if (v.kind != argument.kind)
        return false;
    if (v.kind == STO_VALUE_LIST || v.kind == STO_VALUE_OBJECT || v.kind == STO_VALUE_OPAQUE)
        return v.opaque == argument.opaque;
    return sto_equal(run, v, argument);
}

static bool is_lower(struct sto_run *run, struct sto_value v, struct sto_value argument)
{
    (void)argument;
    const struct sto_text *t = sto_to_text(run, v);
    return sto_truth(sto_call_method(run, sto_text_value(t), "islower", &(struct sto_arguments){0}));
}

static bool is_upper(struct sto_run *run, struct sto_value v, struct sto_value argument)
{
    (void)argument;
    const struct sto_text *t = sto_to_text(run, v);
    return sto_truth(sto_call_method(run, sto_text_value(t), "isupper", &(struct sto_arguments){0}));
}

static bool is_escaped(struct sto_run *run, struct sto_value v, struct sto_value argument)
{
    (void)run, (void)v, (void)argument;
    return false;
}

static const struct {
    const char *name;
    test *holds;
} tests[] = {{"defined", is_defined},
             {"undefined", is_undefined},
             {"none", is_none},
             {"None", is_none},
             {"boolean", is_boolean},
             {"true", is_true},
             {"false", is_false},
             {"integer", is_integer},
             {"float", is_float},
             {"number", is_number},
             {"string", is_string},
             {"mapping", is_mapping},
             {"iterable", is_iterable},
             {"sequence", is_sequence},
             {"callable", is_callable},
             {"odd", is_odd},
             {"even", is_even},
             {"divisibleby", is_divisible},
             {"eq", is_equal},
             {"equalto", is_equal},
             {"==", is_equal},
             {"ne", is_unequal},
             {"!=", is_unequal},
             {"lt", is_less},
             {"lessthan", is_less},
             {"<", is_less},
             {"le", is_less_or_equal},
             {"<=", is_less_or_equal},
             {"gt", is_greater},
             {"greaterthan", is_greater},
             {">", is_greater},
             {"ge", is_greater_or_equal},
             {">=", is_greater_or_equal},
             {"in", is_in},
             {"sameas", is_same},
             {"lower", is_lower},
             {"upper", is_upper},
             {"escaped", is_escaped}};

bool sto_apply_test(struct sto_run *run, struct sto_view name, struct sto_value v, const struct sto_arguments *args)
{
    struct sto_value argument = sto_value_undefined();
    if (args->positional.n > 0)
        argument = args->positional.items[0];
    else if (args->n_named > 0)
        argument = args->named[0].value;
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        if (sto_view_equals(name, tests[i].name))
            return tests[i].holds(run, v, argument);
    }
    sto_run_fail(run, "there is no test \"%.*s\"", (int)(name.size < 80 ? name.size : 80), name.data);
    return false;
}
