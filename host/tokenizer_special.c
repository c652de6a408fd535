/* Special tokens: which texts they are, finding them in a text, and which of them end a turn. */
#include "host/tokenizer_internal.h"

#include <string.h>

#include "runtime/base/mem.h"

/* Tokens that models are known by. Files mistype some of them (as ordinary or user-defined), so a token with such a
 * text is a control token in any vocabulary; llama.cpp does the same, and the reference vectors show it. */
struct known {
    const char *text;
    bool control; /* a control token whatever its type in the file */
    bool end;     /* ends a turn (unless the file says it is ordinary text) */
};
static const struct known known_tokens[] = {
    {"<|eot_id|>", true, true},
    {"<|eom_id|>", true, true},
    {"<|im_end|>", true, true},
    {"<|end|>", true, true},
    {"<|return|>", true, true},
    {"<|call|>", true, true},
    {"<end_of_turn>", true, true},
    {"<|endoftext|>", true, true},
    {"<|end_of_text|>", true, true},
    {"<EOT>", true, true},
    {"_<EOT>", true, true},
    {"[EOT]", true, true},
    {"[EOS]", true, true},
    {"</s>", true, true},
    {"<end_of_utterance>", true, true},
    {"<\uff5cend\u2581of\u2581sentence\uff5c>", true, true},
    {"<|EOT|>", false, true},
    {"<|fim_prefix|>", true, false},
    {"<|fim_suffix|>", true, false},
    {"<|fim_middle|>", true, false},
    {"<fim_prefix>", true, false},
    {"<fim_suffix>", true, false},
    {"<fim_middle>", true, false},
    {"<\uff5cfim\u2581begin\uff5c>", true, false},
    {"<\uff5cfim\u2581hole\uff5c>", true, false},
    {"<\uff5cfim\u2581end\uff5c>", true, false},
};

static const struct known *known_as(struct sto_view text)
{
    for (size_t i = 0; i < sizeof known_tokens / sizeof known_tokens[0]; i++) {
        if (sto_view_equals(text, known_tokens[i].text))
            return &known_tokens[i];
    }
    return NULL;
}

static uint32_t child_of(const struct sto_special *s, uint32_t node, uint8_t byte)
{
    uint32_t c = s->nodes[node].child;
    while (c != 0 && s->nodes[c].byte != byte)
        c = s->nodes[c].sibling;
    return c;
}

/* The node at the end of text, made where it is missing; 0 when memory is short. text is not empty. */
static uint32_t insert(struct sto_special *s, struct sto_view text)
{
    uint32_t node = 0;
    for (size_t i = 0; i < text.size; i++) {
        uint32_t next = child_of(s, node, (uint8_t)text.data[i]);
        if (next == 0) {
            if (s->n == s->capacity) {
                struct sto_special_node *grown = sto_realloc(s->nodes, (size_t)s->capacity * 2, sizeof *grown);
                if (grown == NULL)
                    return 0;
                s->nodes = grown;
                s->capacity *= 2;
            }
            next = s->n++;
            s->nodes[next] = (struct sto_special_node){
                .sibling = s->nodes[node].child, .id = STO_TOKEN_NONE, .byte = (uint8_t)text.data[i]};
            s->nodes[node].child = next;
        }
        node = next;
    }
    return node;
}

/* What sets a vocabulary apart where its tokens need treatment of their own. */
struct habits {
    bool harmony; /* gpt-oss: the tokens that frame a message are always recognised, and <|end|> ends no turn */
    bool phi3;    /* most special tokens swallow the white space behind them */
};

static struct habits habits_of(const struct sto_tokenizer *t)
{
    bool returns = false, calls = false, placeholder = false;
    for (uint32_t id = 0; id < t->n_tokens; id++) {
        if (t->kinds[id] != STO_TOKEN_CONTROL)
            continue;
        returns |= sto_view_equals(t->bytes[id], "<|return|>");
        calls |= sto_view_equals(t->bytes[id], "<|call|>");
        placeholder |= sto_view_equals(t->bytes[id], "<|placeholder1|>");
    }
    return (struct habits){.harmony = returns && calls, .phi3 = placeholder && t->kind == STO_VOCAB_SPM};
}

static bool frames_message(struct sto_view text)
{
    return sto_view_equals(text, "<|start|>") || sto_view_equals(text, "<|channel|>") ||
           sto_view_equals(text, "<|message|>") || sto_view_equals(text, "<|constrain|>") ||
           sto_view_equals(text, "<|end|>");
}

/* User-defined tokens that part messages or turns: by their form, and those that have another. */
static bool is_marker(struct sto_view text)
{
    static const char *const others[] = {"<start_of_turn>", "<end_of_turn>", "[INST]", "[/INST]", "<tool_response>",
                                         "</tool_response>"};
    const char *const forms[] = {"<|", "<\uff5c"};
    for (size_t i = 0; i < 2; i++) {
        if (text.size >= strlen(forms[i]) && memcmp(text.data, forms[i], strlen(forms[i])) == 0)
            return true;
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (sto_view_equals(text, others[i]))
            return true;
    }
    return false;
}

static bool add_token(struct sto_tokenizer *t, uint32_t id, struct habits habits)
{
    const struct sto_view text = t->bytes[id];
    const uint8_t kind = t->kinds[id];
    const bool user = kind == STO_TOKEN_USER;
    bool control = kind == STO_TOKEN_CONTROL || kind == STO_TOKEN_UNKNOWN, frames = user && is_marker(text);
    const bool may_be_known = text.size > 4 ? strchr("<_[", text.data[0]) != NULL : text.size == 4;
    const struct known *known = may_be_known ? known_as(text) : NULL;
    t->ends[id] = known != NULL && known->end && (user || control);
    control = control || (known != NULL && known->control);
    if (habits.harmony && frames_message(text)) {
        control = false;
        frames = true;
        t->ends[id] = 0;
    } else if (!control && !user) {
        return true;
    }
    if (text.size == 0)
        return true;
    const uint32_t node = insert(&t->special, text);
    if (node == 0)
        return false;
    struct sto_special_node *n = &t->special.nodes[node];
    if (n->id != STO_TOKEN_NONE)
        return true; /* two tokens with one text: the first stands for it */
    n->id = id;
    n->control = control;
    n->frames = frames;
    n->rstrip = habits.phi3 && !sto_view_equals(text, "<unk>") && !sto_view_equals(text, "<s>") &&
                !sto_view_equals(text, "<|endoftext|>");
    t->special.first[(uint8_t)text.data[0]] |= control ? 2 : 3;
    return true;
}

bool sto_special_build(struct sto_tokenizer *t, const struct sto_vocab *vocab)
{
    t->special.capacity = 1024;
    t->special.nodes = sto_calloc(t->special.capacity, sizeof *t->special.nodes);
    if (t->special.nodes == NULL)
        return false;
    t->special.n = 1;
    t->special.nodes[0].id = STO_TOKEN_NONE;
    const struct habits habits = habits_of(t);
    for (uint32_t id = 0; id < t->n_tokens; id++) {
        if (!add_token(t, id, habits))
            return false;
    }
    if (vocab->eos < t->n_tokens)
        t->ends[vocab->eos] = 1;
    if (vocab->eot < t->n_tokens)
        t->ends[vocab->eot] = 1;
    return true;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Up to where a control token that begins at pos may reach; pos itself: there may be none. */
static size_t control_end(struct sto_special_search *s, size_t pos)
{
    if (s->segments == NULL)
        return s->parse_control ? s->size : pos;
    while (s->segment_end <= pos && s->segment < s->n_segments)
        s->segment_end += s->segments[s->segment++].size;
    const bool inside = s->segment_end > pos;
    return inside && s->segments[s->segment - 1].from_template ? s->segment_end : pos;
}

bool sto_special_next(struct sto_special_search *s, size_t pos, struct sto_special_match *match)
{
    const struct sto_special *special = s->special;
    for (; pos < s->size; pos++) {
        if (special->first[(uint8_t)s->text[pos]] == 0)
            continue;
        const size_t trusted = control_end(s, pos);
        const struct sto_special_node *best = NULL;
        uint32_t node = 0;
        for (size_t i = pos; i < s->size; i++) {
            node = child_of(special, node, (uint8_t)s->text[i]);
            if (node == 0)
                break;
            const struct sto_special_node *n = &special->nodes[node];
            const bool needs_trust = n->control || (n->frames && s->segments != NULL);
            if (n->id != STO_TOKEN_NONE && (!needs_trust || i < trusted)) {
                best = n;
                *match = (struct sto_special_match){.begin = pos, .end = i + 1, .id = n->id};
            }
        }
        if (best == NULL)
            continue;
        while (best->rstrip && match->end < s->size && is_space(s->text[match->end]))
            match->end++;
        return true;
    }
    return false;
}

uint32_t sto_special_find(const struct sto_special *special, const char *text, size_t size)
{
    uint32_t node = 0;
    for (size_t i = 0; i < size; i++) {
        node = child_of(special, node, (uint8_t)text[i]);
        if (node == 0)
            return STO_TOKEN_NONE;
    }
    return special->nodes[node].id;
}
