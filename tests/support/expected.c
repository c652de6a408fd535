/* Loading of expected logits; see the header. */
#include "tests/support/expected.h"

#include "runtime/base/mem.h"
#include "runtime/base/os.h"
#include "runtime/formats/formats.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FILE_BYTES = 1 << 28 };

bool sto_reference_path(char *path, size_t size, const char *folder, const char *name, const char *suffix)
{
    const char *root = getenv("STRATO_REFERENCE");

    if (root == NULL)
        return false;
    const int n = snprintf(path, size, "%s/%s/%s%s", root, folder, name, suffix);
    return n > 0 && (size_t)n < size && sto_file_exists(path);
}

static cJSON *read_json(const char *path)
{
    char *text = NULL;
    size_t size = 0;

    if (sto_file_read(path, MAX_FILE_BYTES, &text, &size, NULL) != STO_OK)
        return NULL;
    cJSON *json = cJSON_ParseWithLength(text, size);
    sto_free(text);
    return json;
}

static uint32_t number(const cJSON *item)
{
    return cJSON_IsNumber(item) && item->valuedouble >= 0 ? (uint32_t)item->valuedouble : 0;
}

/* Puts the runner-up where the row was computed from it. */
static bool apply_fed_tokens(struct sto_expected *e, const char *name)
{
    cJSON *all = read_json(STRATO_SOURCE_DIR "/tests/vectors/fed_tokens.json");
    const cJSON *step;

    if (all == NULL)
        return false;
    cJSON_ArrayForEach(step, cJSON_GetObjectItemCaseSensitive(all, name))
    {
        const size_t s = (size_t)strtoul(step->string, NULL, 10);
        if (s < e->n_greedy)
            e->tokens[e->n_prompt + s] = number(step);
    }
    cJSON_Delete(all);
    return true;
}

static bool fill_tokens(struct sto_expected *e, const cJSON *json)
{
    const cJSON *prompt = cJSON_GetObjectItemCaseSensitive(json, "prompt");
    const cJSON *greedy = cJSON_GetObjectItemCaseSensitive(json, "greedy");
    const cJSON *margin = cJSON_GetObjectItemCaseSensitive(json, "margin");
    const cJSON *item;
    size_t i = 0;

    e->n_prompt = (size_t)cJSON_GetArraySize(prompt);
    e->n_greedy = (size_t)cJSON_GetArraySize(greedy);
    e->n_tokens = e->n_prompt + e->n_greedy;
    e->n_vocab = number(cJSON_GetObjectItemCaseSensitive(json, "n_vocab"));
    e->tokens = sto_calloc(e->n_tokens, sizeof *e->tokens);
    e->greedy = sto_calloc(e->n_greedy, sizeof *e->greedy);
    e->margin = sto_calloc(e->n_greedy, sizeof *e->margin);
    if (e->tokens == NULL || e->greedy == NULL || e->margin == NULL ||
        (size_t)cJSON_GetArraySize(margin) != e->n_greedy)
        return false;
    cJSON_ArrayForEach(item, prompt) e->tokens[i++] = number(item);
    cJSON_ArrayForEach(item, greedy) e->tokens[i++] = number(item);
    for (i = 0; i < e->n_greedy; i++)
        e->greedy[i] = e->tokens[e->n_prompt + i];
    i = 0;
    cJSON_ArrayForEach(item, margin) e->margin[i++] = item->valuedouble;
    return true;
}

static bool load_logits(struct sto_expected *e, const char *path)
{
    char *bytes = NULL;
    size_t size = 0;

    if (sto_file_read(path, MAX_FILE_BYTES, &bytes, &size, NULL) != STO_OK)
        return false;
    const bool fits = size == e->n_tokens * e->n_vocab * 4;
    e->logits = fits ? sto_calloc(e->n_tokens * e->n_vocab, sizeof *e->logits) : NULL;
    if (e->logits != NULL)
        sto_decode(STO_TYPE_F32, bytes, e->logits, e->n_tokens * e->n_vocab);
    sto_free(bytes);
    return e->logits != NULL;
}

bool sto_expected_load(struct sto_expected *out, const char *folder, const char *name, char *why, size_t why_size)
{
    char path[4096], below[64];
    cJSON *json = NULL;
    bool done = false;

    *out = (struct sto_expected){0};
    snprintf(below, sizeof below, "%s/expected", folder);
    snprintf(why, why_size, "%s/%s: no such data below STRATO_REFERENCE", below, name);
    if (!sto_reference_path(path, sizeof path, below, name, ".json"))
        return false;
    json = read_json(path);
    snprintf(why, why_size, "%s: not as its README says", path);
    if (json != NULL && fill_tokens(out, json) && apply_fed_tokens(out, name) &&
        sto_reference_path(path, sizeof path, below, name, ".f32"))
        done = load_logits(out, path);
    cJSON_Delete(json);
    if (!done)
        sto_expected_free(out);
    return done;
}

void sto_expected_free(struct sto_expected *expected)
{
    sto_free(expected->tokens);
    sto_free(expected->greedy);
    sto_free(expected->margin);
    sto_free(expected->logits);
    *expected = (struct sto_expected){0};
}
