/* Typed reading of metadata values. */
#include "models/gguf_impl.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <string.h>

static const char *const kind_names[] = {"u8",     "i8",    "u16", "i16", "u32", "i32", "f32",
                                         "bool", "string", "array", "u64", "i64", "f64"};

const char *sto_gguf_kind_name(enum sto_gguf_kind kind)
{
    return (unsigned)kind <= STO_GGUF_F64 ? kind_names[kind] : "?";
}

/* The kind of a scalar, or of an array's elements. */
static enum sto_gguf_kind element_kind(const struct sto_gguf_value *v)
{
    return v->kind == STO_GGUF_ARRAY ? v->elem_kind : v->kind;
}

static bool is_integer(enum sto_gguf_kind kind)
{
    return kind != STO_GGUF_F32 && kind != STO_GGUF_F64 && kind != STO_GGUF_BOOL && kind != STO_GGUF_STRING &&
           kind != STO_GGUF_ARRAY;
}

/* One element of any plain kind. */
struct number {
    bool is_float;
    int64_t i;
    double f;
};

static struct number number_at(const struct sto_gguf_value *v, uint64_t index)
{
    const enum sto_gguf_kind kind = element_kind(v);
    const uint64_t size = v->count > 0 ? v->bytes.size / v->count : 0;
    struct sto_cursor c = sto_cursor_make(v->bytes.data + index * size, (size_t)size);
    struct number n = {0};
    assert(index < v->count && kind != STO_GGUF_STRING && kind != STO_GGUF_ARRAY);
    switch (kind) {
    case STO_GGUF_U8:
    case STO_GGUF_BOOL: n.i = sto_cursor_u8(&c); break;
    case STO_GGUF_I8: n.i = (int8_t)sto_cursor_u8(&c); break;
    case STO_GGUF_U16: n.i = sto_cursor_u16(&c); break;
    case STO_GGUF_I16: n.i = (int16_t)sto_cursor_u16(&c); break;
    case STO_GGUF_U32: n.i = sto_cursor_u32(&c); break;
    case STO_GGUF_I32: n.i = (int32_t)sto_cursor_u32(&c); break;
    case STO_GGUF_U64:
    case STO_GGUF_I64: n.i = (int64_t)sto_cursor_u64(&c); break;
    case STO_GGUF_F32: n = (struct number){true, 0, (double)sto_cursor_f32(&c)}; break;
    case STO_GGUF_F64: n = (struct number){true, 0, sto_cursor_f64(&c)}; break;
    case STO_GGUF_STRING:
    case STO_GGUF_ARRAY: break;
    }
    return n;
}

int64_t sto_gguf_int_at(const struct sto_gguf_value *array, uint64_t i)
{
    const struct number n = number_at(array, i);
    if (!n.is_float)
        return n.i;
    return n.f > -9e18 && n.f < 9e18 ? (int64_t)n.f : 0;
}

double sto_gguf_float_at(const struct sto_gguf_value *array, uint64_t i)
{
    const struct number n = number_at(array, i);
    if (n.is_float)
        return n.f;
    return element_kind(array) == STO_GGUF_U64 ? (double)(uint64_t)n.i : (double)n.i;
}

static enum sto_status fail_kind(const struct sto_gguf *gguf, const struct sto_gguf_value *v, const char *wanted,
                                 struct sto_error *err)
{
    const bool array = v->kind == STO_GGUF_ARRAY;
    return sto_fail(err, STO_ERR_MODEL, "%s: key '%.*s' is %s%s where %s belongs", sto_gguf_path(gguf),
                    STO_GGUF_SHOW(v->key), array ? "an array of " : "a value of kind ",
                    sto_gguf_kind_name(element_kind(v)), wanted);
}

enum sto_status sto_gguf_get_u32(const struct sto_gguf *gguf, const char *key, uint32_t *out, struct sto_error *err)
{
    const struct sto_gguf_value *v = sto_gguf_find(gguf, key);
    if (v == NULL)
        return STO_OK;
    if (!is_integer(v->kind))
        return fail_kind(gguf, v, "an integer", err);
    const int64_t n = sto_gguf_int_at(v, 0);
    if (v->kind == STO_GGUF_U64 && n < 0)
        return sto_fail(err, STO_ERR_MODEL, "%s: key '%s' is %llu, which is not from 0 to 4294967295",
                        sto_gguf_path(gguf), key, (unsigned long long)n);
    if (n < 0 || n > UINT32_MAX)
        return sto_fail(err, STO_ERR_MODEL, "%s: key '%s' is %lld, which is not from 0 to 4294967295",
                        sto_gguf_path(gguf), key, (long long)n);
    *out = (uint32_t)n;
    return STO_OK;
}

enum sto_status sto_gguf_need_u32(const struct sto_gguf *gguf, const char *key, uint32_t *out, struct sto_error *err)
{
    if (sto_gguf_find(gguf, key) == NULL)
        return sto_fail(err, STO_ERR_MODEL, "%s: key '%s' is missing", sto_gguf_path(gguf), key);
    return sto_gguf_get_u32(gguf, key, out, err);
}

enum sto_status sto_gguf_get_f32(const struct sto_gguf *gguf, const char *key, float *out, struct sto_error *err)
{
    const struct sto_gguf_value *v = sto_gguf_find(gguf, key);
    if (v == NULL)
        return STO_OK;
    if (v->kind != STO_GGUF_F32 && v->kind != STO_GGUF_F64)
        return fail_kind(gguf, v, "a floating-point number", err);
    const double n = sto_gguf_float_at(v, 0);
    if (!(fabs(n) <= (double)FLT_MAX)) /* nor is NaN */
        return sto_fail(err, STO_ERR_MODEL, "%s: key '%s' is %g, which is not a finite 32-bit number",
                        sto_gguf_path(gguf), key, n);
    *out = (float)n;
    return STO_OK;
}

enum sto_status sto_gguf_get_bool(const struct sto_gguf *gguf, const char *key, bool *out, struct sto_error *err)
{
    const struct sto_gguf_value *v = sto_gguf_find(gguf, key);
    if (v == NULL)
        return STO_OK;
    if (v->kind != STO_GGUF_BOOL)
        return fail_kind(gguf, v, "a bool", err);
    *out = sto_gguf_int_at(v, 0) != 0;
    return STO_OK;
}

enum sto_status sto_gguf_get_string(const struct sto_gguf *gguf, const char *key, struct sto_view *out,
                                    struct sto_error *err)
{
    const struct sto_gguf_value *v = sto_gguf_find(gguf, key);
    if (v == NULL)
        return STO_OK;
    if (v->kind != STO_GGUF_STRING)
        return fail_kind(gguf, v, "a string", err);
    *out = v->bytes;
    return STO_OK;
}

bool sto_gguf_next_string(const struct sto_gguf_value *array, size_t *pos, struct sto_view *out)
{
    struct sto_cursor c = sto_cursor_make(array->bytes.data, array->bytes.size);
    c.pos = *pos < c.size ? *pos : c.size;
    const uint64_t length = sto_cursor_u64(&c);
    const uint8_t *bytes = length > sto_cursor_left(&c) ? NULL : sto_cursor_take(&c, (size_t)length);
    if (bytes == NULL || c.failed)
        return false;
    *out = (struct sto_view){(const char *)bytes, (size_t)length};
    *pos = c.pos;
    return true;
}
