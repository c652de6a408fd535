/* Files of prompts: a prompt per line, as plain text or as JSON objects.
 *
 * Which of the two is decided for the whole file: names that end in .jsonl or .ndjson are JSON, .txt is text; else a
 * file is JSON when its first line that is not blank begins with "{". Lines end with \n or \r\n; blank ones, and a byte
 * order mark at the beginning, are passed over.
 *
 *   {"prompt": TEXT} or {"messages": [{"role": .., "content": ..}, ..]}, and what may stand beside it:
 *   "id": TEXT or whole number, different in every line
 *   "system": TEXT, "max_tokens": N, "stop": TEXT or [TEXT, ..], "raw": true,
 *   "temperature": X, "top_k": N, "top_p": X, "min_p": X, "seed": N      in place of the defaults
 *
 * Every line draws with a seed of its own: "seed" itself where the line has one, else made from the default seed and
 * the line's id, or its number among the prompts where it has no id. So a result depends on its line alone, not on
 * those around it. Safe on hostile bytes: linear time, limits by name, errors that name file and line. */
#ifndef STO_BATCH_FILE_H
#define STO_BATCH_FILE_H

#include "host/batch.h"
#include "runtime/base/mem.h"

enum {
    STO_BATCH_MAX_FILE_BYTES = 1 << 30,
    STO_BATCH_MAX_LINE_BYTES = 16 << 20,
    STO_BATCH_MAX_PROMPTS = 1 << 24,
    STO_BATCH_MAX_ID_BYTES = 1024,
    STO_BATCH_MAX_STOPS = 64
};

struct sto_batch_line {
    size_t number;       /* in the file, from 1                                                    */
    const char *id;      /* UTF-8 [id_size], a number as its digits; NULL: none                     */
    size_t id_size;
    bool id_is_number;
    struct sto_batch_job job; /* the defaults, and what the line says; text lies in the arena or the file's text */
    uint64_t hash;       /* of everything in job: the same job has the same one in every run        */
};

struct sto_batch_file {
    struct sto_arena arena;
    struct sto_batch_line *lines; /* [n] */
    size_t n, capacity;
    bool json;
};

/* Reads text [size], which outlives *out, as does what defaults points to. name is for errors and for the ending.
 * STO_ERR_USAGE: "NAME:LINE: what is wrong"; or there is no prompt in it. Free *out in any case. */
enum sto_status sto_batch_file_read(const char *name, const char *text, size_t size,
                                    const struct sto_batch_job *defaults, struct sto_batch_file *out,
                                    struct sto_error *err);
void sto_batch_file_free(struct sto_batch_file *file);

#endif
