/* One user turn in a model's own chat template: what a single prompt becomes. */
#ifndef STO_CHAT_TURN_H
#define STO_CHAT_TURN_H

#include "host/template.h"

/* What every rendering for a model begins with: its BOS and EOS, no tools, the prompt for an answer, the local time.
 * Views into the tokenizer. */
struct sto_template_input sto_chat_turn_input(const struct sto_vocab *vocab, const struct sto_tokenizer *tokenizer);

/* Appends the ids of one user message, ready for the assistant to answer. text: UTF-8; other bytes are taken too.
 * STO_ERR_USAGE: the template refuses or fails; the message says why, and where in the template. */
enum sto_status sto_chat_turn_tokens(const struct sto_template *t, const struct sto_template_input *input,
                                     const struct sto_tokenizer *tokenizer, struct sto_view text,
                                     struct sto_tokens *out, struct sto_error *err);

#endif
