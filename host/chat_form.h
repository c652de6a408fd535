/* The turn markers of the common chat forms, recognised from the template in the model file. */
#ifndef STO_CHAT_FORM_H
#define STO_CHAT_FORM_H

#include "host/tokenizer.h"

struct sto_chat_form {
    const char *name;
    const char *marker;    /* found in the template of models that use this form      */
    const char *before;    /* before the user's text; may hold control tokens         */
    const char *after;     /* after it: ends the turn and opens the assistant's       */
    bool bos;              /* the form begins with the vocabulary's BOS               */
};

/* NULL when the template is absent or of no known form. */
const struct sto_chat_form *sto_chat_form_find(struct sto_view chat_template);

/* Ids of one user turn, ready for the assistant to answer. The text itself never becomes a control token. */
enum sto_status sto_chat_form_tokens(const struct sto_chat_form *form, const struct sto_tokenizer *tokenizer,
                                     const char *text, size_t size, struct sto_tokens *out, struct sto_error *err);

#endif
