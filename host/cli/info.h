/* What `strato info` knows about a file, apart from how it prints it. Only host/cli/info*.c and cmd_info.c include
 * this. */
#ifndef STO_CLI_INFO_H
#define STO_CLI_INFO_H

#include "models/gguf.h"

/* All tensors of one type. */
struct sto_info_format {
    uint32_t file_type;
    enum sto_type type; /* STO_TYPE_COUNT: not supported, and bytes are not known */
    uint64_t n_tensors, n_elements, bytes;
    struct sto_view first; /* the name of the first such tensor */
};

enum { STO_INFO_MAX_PROBLEMS = 64, STO_INFO_MAX_FORMATS = 64 };

/* Numbers are 0 and views empty where the file does not say. Views live as long as gguf. */
struct sto_info {
    struct sto_gguf *gguf;
    struct sto_view arch, name, tokenizer, pre;
    const char *mixture; /* "Q4_K_M", NULL when unknown */
    uint64_t n_params;
    uint32_t n_layers, n_embd, n_ff, n_heads, n_kv_heads, head_dim, n_ctx, n_experts;
    uint64_t n_tokens, n_merges, template_bytes;
    uint32_t n_formats;
    struct sto_info_format formats[STO_INFO_MAX_FORMATS]; /* most bytes first; further types are left out */
    uint64_t known_elements, known_bytes;                 /* of the supported types */
    uint32_t n_problems;
    char *problems[STO_INFO_MAX_PROBLEMS]; /* what strato would not support, one line each */
};

/* Accepts a file without its tensor data. */
enum sto_status sto_info_read(const char *path, struct sto_info *out, struct sto_error *err);
void sto_info_free(struct sto_info *info);

/* The type's name, or "type 123". Static, or in buf of 24 bytes. */
const char *sto_info_type_name(uint32_t file_type, char *buf, size_t size);

/* Text of a file made printable in at most `size` - 1 bytes: control characters, quotes and bytes that are not UTF-8
 * become escapes, and "..." marks what was cut off. */
void sto_info_printable(struct sto_view text, char *buf, size_t size);

/* One JSON object on stdout; false when there was no memory. */
bool sto_info_print_json(const struct sto_info *info);

#endif
