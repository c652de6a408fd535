/* The table of pre-tokenizers, and how their stages are run.
 *
 * Patterns are those of the models' own tokenizers, as they publish them (tokenizer.json, or the tokenizer's source
 * for Kimi K2); names and their grouping are those that GGUF files carry in tokenizer.ggml.pre. Patterns that a
 * model's tokenizer spells differently but that match the same are written once. */
#include "host/tokenizer_pre.h"

#include <string.h>

#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define BLANKS "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define SYMBOLS " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" BLANKS
#define SYMBOLS_SLASH " ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" BLANKS
#define WORD "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"

/* gpt-2 */
#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
/* Llama 3: digits by threes. Qwen 2: one by one. Qwen 3.5: combining marks belong to words. */
#define LLAMA3 CONTRACTIONS "|" WORD "|\\p{N}{1,3}|" SYMBOLS
#define QWEN2 CONTRACTIONS "|" WORD "|\\p{N}|" SYMBOLS
#define QWEN35 \
    CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" BLANKS
/* o200k: a word is upper case, then lower case, with its contraction. */
#define UPPER "\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}"
#define LOWER "\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}"
#define HEAD "[^\\r\\n\\p{L}\\p{N}]?"
#define O200K \
    HEAD "[" UPPER "]*[" LOWER "]+" CONTRACTIONS "?|" HEAD "[" UPPER "]+[" LOWER "]*" CONTRACTIONS \
         "?|\\p{N}{1,3}|" SYMBOLS_SLASH
#define TEKKEN HEAD "[" UPPER "]*[" LOWER "]+|" HEAD "[" UPPER "]+[" LOWER "]*|\\p{N}|" SYMBOLS_SLASH
/* Kimi K2: like o200k, Chinese characters on their own. */
#define NO_HAN "&&[^\\p{Han}]]"
#define KIMI \
    "[\\p{Han}]+|" HEAD "[" UPPER NO_HAN "*[" LOWER NO_HAN "+" CONTRACTIONS "?|" HEAD "[" UPPER NO_HAN "+[" LOWER \
    NO_HAN "*" CONTRACTIONS "?|\\p{N}{1,3}|" SYMBOLS
/* DeepSeek: letters with case as its first tokenizer lists them; CJK as U+4E00 to U+9FA5, U+0800 to U+4E00, Hangul. */
#define CASED \
    "A-Za-z" \
    "\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-\u02af\u0370-\u0373\u0376\u0377" \
    "\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f\u0531-\u0556" \
    "\u10a0-\u10c5\u13a0-\u13f5\u13f8-\u13fd\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b\u1d6b-\u1d77\u1d79-\u1d9a" \
    "\u1e00-\u1f15\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59\u1f5b\u1f5d\u1f5f-\u1f7d\u1f80-\u1fb4" \
    "\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3\u1fd6-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-\u1ffc" \
    "\u2102\u2107\u210a-\u2113\u2115\u2119-\u211d\u2124\u2126\u2128\u212a-\u212d\u212f-\u2134\u2139\u213c-\u213f" \
    "\u2145-\u2149\u214e\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4\u2ceb-\u2cee\u2cf2\u2cf3\ua640-\ua66d\ua680-\ua69b" \
    "\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e\uab70-\uabbf\ufb00-\ufb06\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a" \
    "\U00010400-\U0001044f\U000104b0-\U000104d3\U000104d8-\U000104fb\U00010c80-\U00010cb2\U00010cc0-\U00010cf2" \
    "\U000118a0-\U000118df\U0001e900-\U0001e943"
#define CJK "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"
#define DEEPSEEK_PUNCTUATION "!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002"
#define DEEPSEEK3 \
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+" \
    "| ?[\\p{P}\\p{S}]+[\\r\\n]*|" BLANKS
#define KANA_HAN "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"
/* Bloom and its relatives. */
#define BLOOM " ?[^(\\s|.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c)]+"

struct entry {
    const char *names; /* separated by blanks */
    const char *stages[STO_PRE_MAX_STAGES];
    bool whole_words, add_bos;
};

static const struct entry table[] = {
    {"default", {"[\\p{P}$+<=>^~|]+", GPT2, "\\p{N}+", "[0-9][0-9][0-9]"}, false, false},
    {"gpt-2 phi-2 gigachat a.x-4.0 mellum modern-bert mpt olmo jais trillion granite-docling exaone4",
     {GPT2}, false, false},
    {"starcoder refact command-r smollm codeshell exaone minerva-7b mellum2", {"\\p{N}", GPT2}, false, false},
    {"falcon", {"[\\p{P}$+<=>^~|`]+", GPT2, "[0-9][0-9][0-9]"}, false, false},
    {"llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2", {LLAMA3}, true, true},
    {"dbrx smaug-bpe chatglm-bpe glm4", {LLAMA3}, false, false},
    {"qwen2 deepseek-r1-qwen stablelm2 megrez hunyuan grok-2 solar-open kormo", {QWEN2}, false, false},
    {"qwen35", {QWEN35}, false, false},
    {"gpt-4o llama4 kanana2 minimax-m2", {O200K}, false, false},
    {"tekken", {TEKKEN}, true, true},
    {"kimi-k2", {KIMI}, false, false},
    {"deepseek-llm",
     {"[\\r\\n]", "\\s?[" CASED "]+", "\\s?[" DEEPSEEK_PUNCTUATION "]+", "\\s+$", CJK, "\\p{N}+"}, false, false},
    {"deepseek-coder", {"[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", CJK, "\\p{N}"}, false, false},
    {"deepseek-v3 hunyuan-dense joyai-llm", {"\\p{N}{1,3}", KANA_HAN, DEEPSEEK3}, false, false},
    {"bailingmoe bailingmoe2 llada-moe",
     {"(?i:'s|'d|'m|'t|'ll|'ve|'re)|" WORD "|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"},
     false, false},
    {"seed-coder", {CONTRACTIONS "|" WORD "|\\p{N}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|" BLANKS}, false, false},
    {"bloom poro-chat gpt3-finnish", {BLOOM}, false, false},
    {"viking", {BLOOM, "\\p{N}"}, false, false},
};

enum { N_ENTRIES = sizeof table / sizeof table[0] };

/* True when the blank-separated list holds the name. */
static bool lists(const char *names, struct sto_view name)
{
    for (const char *s = names; *s != '\0'; s += strspn(s, " ")) {
        const size_t n = strcspn(s, " ");
        if (n == name.size && memcmp(s, name.data, n) == 0)
            return true;
        s += n;
    }
    return false;
}

static enum sto_status fail_unknown(struct sto_view name, struct sto_error *err)
{
    char known[896];
    size_t used = 0;
    for (size_t i = 0; i < N_ENTRIES; i++) {
        const size_t n = strlen(table[i].names);
        if (used + n + 2 > sizeof known)
            break;
        memcpy(known + used, table[i].names, n);
        used += n;
        known[used++] = ' ';
    }
    known[used == 0 ? 0 : used - 1] = '\0';
    return sto_fail(err, STO_ERR_MODEL, "tokenizer.ggml.pre: \"%.*s\" is not a known pre-tokenizer (known: %s)",
                    (int)(name.size > 64 ? 64 : name.size), name.data, known);
}

enum sto_status sto_pre_find(struct sto_view name, struct sto_pre *out, struct sto_error *err)
{
    const struct sto_view wanted = name.size > 0 ? name : (struct sto_view){"default", 7};
    size_t i = 0;
    while (i < N_ENTRIES && !lists(table[i].names, wanted))
        i++;
    if (i == N_ENTRIES)
        return fail_unknown(wanted, err);
    out->n_stages = 0;
    out->whole_words = table[i].whole_words;
    out->add_bos = table[i].add_bos;
    for (uint32_t s = 0; s < STO_PRE_MAX_STAGES && table[i].stages[s] != NULL; s++) {
        if (!sto_pattern_compile(table[i].stages[s], &out->stages[out->n_stages++]))
            return sto_fail(err, STO_ERR_FAILED, "pre-tokenizer %s, stage %u: the pattern does not compile",
                            table[i].names, s);
    }
    return STO_OK;
}

bool sto_pre_at(size_t i, const char **name, const char *texts[STO_PRE_MAX_STAGES + 1])
{
    if (i >= N_ENTRIES)
        return false;
    *name = table[i].names;
    memset(texts, 0, (STO_PRE_MAX_STAGES + 1) * sizeof texts[0]);
    memcpy(texts, table[i].stages, sizeof table[i].stages);
    return true;
}

struct split {
    const struct sto_pre *pre;
    const char *text;
    sto_pre_piece *piece;
    void *user;
};

/* Cuts text[pos, end) by stage and all later ones. Depth: number of stages. */
static enum sto_status split_stage(const struct split *s, uint32_t stage, size_t pos, size_t end,
                                   struct sto_error *err)
{
    if (pos == end)
        return STO_OK;
    if (stage == s->pre->n_stages)
        return s->piece(s->user, s->text + pos, end - pos, err);
    struct sto_pattern_scan scan = sto_pattern_scan_make(&s->pre->stages[stage], s->text, pos, end);
    size_t from, to;
    while (sto_pattern_next(&scan, &from, &to)) {
        enum sto_status status = split_stage(s, stage + 1, pos, from, err);
        if (status == STO_OK)
            status = split_stage(s, stage + 1, from, to, err);
        if (status != STO_OK)
            return status;
        pos = to;
    }
    return split_stage(s, stage + 1, pos, end, err);
}

enum sto_status sto_pre_split(const struct sto_pre *pre, const char *text, size_t size, sto_pre_piece *piece,
                              void *user, struct sto_error *err)
{
    const struct split s = {.pre = pre, .text = text, .piece = piece, .user = user};
    return split_stage(&s, 0, 0, size, err);
}
