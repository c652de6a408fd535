/* strato info [--json] MODEL: what is in a model file, and what strato would not support. A file without its tensor
 * data will do. */
#include "host/cli/cli.h"
#include "host/cli/info.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { LINE_BYTES = 72 /* of a value in the list of metadata */ };

/* "4.68 GiB" in buf. */
static const char *human_bytes(uint64_t bytes, char *buf, size_t size)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double v = (double)bytes;
    size_t u = 0;
    while (v >= 1024 && u + 1 < sizeof units / sizeof *units) {
        v /= 1024;
        u++;
    }
    (void)snprintf(buf, size, u == 0 ? "%.0f %s" : "%.2f %s", v, units[u]);
    return buf;
}

/* "8.19 B" in buf. */
static const char *human_count(uint64_t n, char *buf, size_t size)
{
    static const char *const units[] = {"", " K", " M", " B", " T", " P", " E"};
    double v = (double)n;
    size_t u = 0;
    while (v >= 1000 && u + 1 < sizeof units / sizeof *units) {
        v /= 1000;
        u++;
    }
    (void)snprintf(buf, size, u == 0 ? "%.0f%s" : "%.2f%s", v, units[u]);
    return buf;
}

/* ---- summary ---- */

static void print_number(const char *label, uint64_t n, const char *unit)
{
    if (n > 0)
        (void)printf("%-13s %" PRIu64 "%s%s\n", label, n, *unit == '\0' ? "" : " ", unit);
}

static void print_text(const char *label, struct sto_view text)
{
    char buf[200];
    sto_info_printable(text, buf, sizeof buf);
    (void)printf("%-13s %s\n", label, text.size == 0 ? "(not given)" : buf);
}

static void print_attention(const struct sto_info *info)
{
    if (info->n_heads == 0)
        return;
    (void)printf("%-13s %" PRIu32 " heads of %" PRIu32 ", %" PRIu32 " for keys and values\n", "attention",
                 info->n_heads, info->head_dim, info->n_kv_heads);
}

static void print_tokenizer(const struct sto_info *info)
{
    char model[64], pre[64];
    if (info->tokenizer.size == 0) {
        (void)printf("%-13s (none)\n", "tokenizer");
        return;
    }
    sto_info_printable(info->tokenizer, model, sizeof model);
    sto_info_printable(info->pre, pre, sizeof pre);
    const bool bpe = sto_view_equals(info->tokenizer, "gpt2"), spm = sto_view_equals(info->tokenizer, "llama");
    (void)printf("%-13s %s%s", "tokenizer", model, bpe ? " (byte-level BPE)" : spm ? " (SPM)" : "");
    if (info->pre.size > 0)
        (void)printf(", pattern %s", pre);
    (void)printf(", %" PRIu64 " tokens", info->n_tokens);
    if (info->n_merges > 0)
        (void)printf(", %" PRIu64 " merges", info->n_merges);
    (void)puts("");
    if (info->template_bytes > 0)
        (void)printf("%-13s %" PRIu64 " bytes\n", "chat template", info->template_bytes);
}

static void print_formats(const struct sto_info *info)
{
    char count[32], bytes[32], buf[24];
    if (info->known_elements > 0)
        (void)printf("%-13s %s%s%s, %.2f bits per weight\n", "weights", info->mixture == NULL ? "" : info->mixture,
                     info->mixture == NULL ? "" : ", ", human_bytes(info->known_bytes, bytes, sizeof bytes),
                     8.0 * (double)info->known_bytes / (double)info->known_elements);
    for (uint32_t i = 0; i < info->n_formats; i++) {
        const struct sto_info_format *f = &info->formats[i];
        (void)printf("  %-9s %6" PRIu64 " tensors %10s weights", sto_info_type_name(f->file_type, buf, sizeof buf),
                     f->n_tensors, human_count(f->n_elements, count, sizeof count));
        if (f->type == STO_TYPE_COUNT)
            (void)puts("   (not supported)");
        else
            (void)printf(" %12s  %5.2f bits\n", human_bytes(f->bytes, bytes, sizeof bytes),
                         8.0 * (double)f->bytes / (double)f->n_elements);
    }
}

static void print_summary(const struct sto_info *info)
{
    char bytes[32], count[32];
    const struct sto_gguf *g = info->gguf;
    const uint32_t n_files = sto_gguf_n_splits(g);
    print_text("file", (struct sto_view){sto_gguf_path(g), strlen(sto_gguf_path(g))});
    (void)printf("%-13s GGUF version %" PRIu32 ", %" PRIu32 " file%s, %s\n", "format", sto_gguf_version(g), n_files,
                 n_files == 1 ? "" : "s", human_bytes(sto_gguf_file_bytes(g), bytes, sizeof bytes));
    if (!sto_gguf_has_data(g))
        (void)printf("%-13s missing: the file ends before or inside the weights\n", "tensor data");
    print_text("architecture", info->arch);
    print_text("name", info->name);
    (void)printf("%-13s %s\n", "parameters", human_count(info->n_params, count, sizeof count));
    print_number("layers", info->n_layers, "");
    print_number("width", info->n_embd, "");
    print_number("feed-forward", info->n_ff, "");
    print_number("experts", info->n_experts, "");
    print_attention(info);
    print_number("context", info->n_ctx, "tokens");
    print_tokenizer(info);
    print_formats(info);
}

/* ---- metadata and tensors ---- */

static void print_element(const struct sto_gguf_value *v, enum sto_gguf_kind kind, uint64_t i, char *buf, size_t size)
{
    if (kind == STO_GGUF_BOOL)
        (void)snprintf(buf, size, "%s", sto_gguf_int_at(v, i) != 0 ? "true" : "false");
    else if (kind == STO_GGUF_F32 || kind == STO_GGUF_F64)
        (void)snprintf(buf, size, "%.*g", kind == STO_GGUF_F32 ? 7 : 15, sto_gguf_float_at(v, i));
    else if (kind == STO_GGUF_U64)
        (void)snprintf(buf, size, "%" PRIu64, (uint64_t)sto_gguf_int_at(v, i));
    else
        (void)snprintf(buf, size, "%" PRId64, sto_gguf_int_at(v, i));
}

/* As many elements as fit on a line. */
static void print_array(const struct sto_gguf_value *v)
{
    size_t pos = 0, width = 0;
    struct sto_view text;
    char one[LINE_BYTES], quoted[LINE_BYTES + 2];
    (void)printf("%s[%" PRIu64 "]", sto_gguf_kind_name(v->elem_kind), v->count);
    for (uint64_t i = 0; i < v->count && v->elem_kind != STO_GGUF_ARRAY; i++) {
        if (v->elem_kind == STO_GGUF_STRING) {
            if (!sto_gguf_next_string(v, &pos, &text))
                break;
            sto_info_printable(text, one, sizeof one);
            (void)snprintf(quoted, sizeof quoted, "\"%s\"", one);
        } else {
            print_element(v, v->elem_kind, i, quoted, sizeof quoted);
        }
        width += strlen(quoted) + 2;
        if (i > 0 && width > LINE_BYTES) {
            (void)printf(", ...");
            break;
        }
        (void)printf("%s%s", i == 0 ? "  " : ", ", quoted);
    }
    (void)puts("");
}

static void print_metadata(const struct sto_gguf *g)
{
    (void)printf("\nmetadata: %zu keys\n", sto_gguf_n_values(g));
    for (size_t i = 0; i < sto_gguf_n_values(g); i++) {
        const struct sto_gguf_value *v = sto_gguf_value_at(g, i);
        char key[200], text[LINE_BYTES + 4];
        sto_info_printable(v->key, key, sizeof key);
        (void)printf("  %-40s ", key);
        if (v->kind == STO_GGUF_ARRAY) {
            print_array(v);
        } else if (v->kind == STO_GGUF_STRING) {
            sto_info_printable(v->bytes, text, sizeof text);
            (void)printf("%-7s \"%s\"\n", "string", text);
        } else {
            print_element(v, v->kind, 0, text, sizeof text);
            (void)printf("%-7s %s\n", sto_gguf_kind_name(v->kind), text);
        }
    }
}

static void print_tensors(const struct sto_gguf *g)
{
    (void)printf("\ntensors: %zu\n", sto_gguf_n_tensors(g));
    for (size_t i = 0; i < sto_gguf_n_tensors(g); i++) {
        const struct sto_gguf_tensor *t = sto_gguf_tensor_at(g, i);
        char name[200], shape[100] = "[", buf[24];
        size_t n = 1;
        for (uint32_t d = t->n_dims; d-- > 0;)
            n += (size_t)snprintf(shape + n, sizeof shape - n, "%" PRIu64 "%s", t->dims[d], d == 0 ? "]" : ", ");
        sto_info_printable(t->name, name, sizeof name);
        (void)printf("  %-32s %-20s %-8s", name, shape, sto_info_type_name(t->file_type, buf, sizeof buf));
        if (t->type == STO_TYPE_COUNT)
            (void)puts("  (not supported)");
        else
            (void)printf(" %12" PRIu64 " bytes\n", t->bytes);
    }
}

static void print_problems(const struct sto_info *info)
{
    (void)printf("\nnot supported:%s\n", info->n_problems == 0 ? " nothing, strato can run this" : "");
    for (uint32_t i = 0; i < info->n_problems; i++)
        (void)printf("  %s\n", info->problems[i]);
}

/* ---- the command ---- */

int sto_cmd_info(int argc, char **argv)
{
    struct sto_options options;
    struct sto_info info;
    struct sto_error err;
    const char *path;
    int code;
    if (!sto_cli_parse(argc, argv, &options, &code))
        return code;
    if (sto_cli_model(&options, &path, &err) != STO_OK || sto_info_read(path, &info, &err) != STO_OK)
        return sto_cli_fail(&err);
    bool printed = true;
    if (options.own.json) {
        printed = sto_info_print_json(&info);
    } else {
        print_summary(&info);
        print_metadata(info.gguf);
        print_tensors(info.gguf);
        print_problems(&info);
    }
    sto_info_free(&info);
    if (!printed) {
        (void)sto_fail(&err, STO_ERR_FAILED, "%s: out of memory for the description", path);
        return sto_cli_fail(&err);
    }
    return sto_cli_finish();
}
