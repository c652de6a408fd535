/* How a model marks its thoughts, and how they are turned on and off: found from the text of its chat template alone.
 *
 * Sources: the templates that the models' publishers ship; for gpt-oss the description of its Harmony format. */
#ifndef STO_REASONING_H
#define STO_REASONING_H

#include "host/marker.h"
#include "runtime/base/cursor.h"

struct sto_reasoning {
    const char *open, *close;  /* "<think>", "</think>"; static                                                */
    const char *dropped[2];    /* markers around the answer that are not part of it; NULL: none                */
    bool anywhere;             /* a thought may also begin within the answer; else only where the answer does  */
    bool harmony;              /* messages in channels; open and close are how the channel of thoughts is framed */
    bool in_template;          /* the template mentions the marker: the model is known to think                */
    const char *variable;      /* the template's own switch, true or false; NULL: it has none; static          */
};

/* Any bytes; an empty template too. A template that mentions no marker gives <think>, which a model may still use. */
struct sto_reasoning sto_reasoning_find(struct sto_view chat_template);

/* Whether a rendered prompt ends within a thought that it has opened itself. */
bool sto_reasoning_opened(const struct sto_reasoning *reasoning, const char *prompt, size_t size);

enum { STO_MAX_PREFILL_BYTES = 128 };

/* What has to follow a rendered prompt so that the model thinks (on) or does not: the template's switch has been set by
 * then, so often nothing. Writes a NUL-terminated text; "" where nothing is needed or nothing is known to help. */
void sto_reasoning_prefill(const struct sto_reasoning *reasoning, bool on, const char *prompt, size_t size,
                           char out[STO_MAX_PREFILL_BYTES]);

/* What ends a thought that has become too long, after the text that says so. NUL-terminated, into out. */
void sto_reasoning_cut(const struct sto_reasoning *reasoning, char out[STO_MAX_PREFILL_BYTES]);

#endif
