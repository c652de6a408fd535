/* Tools in strato chat and strato run: definitions from a file, and the results that a person types for calls. */
#ifndef STO_CLI_CHAT_TOOLS_H
#define STO_CLI_CHAT_TOOLS_H

#include "host/conversation.h"

/* Offers the tools in a file, a JSON list as sto_conversation_set_tools takes it. Warns when the model's calls could
 * not be told from its answers. The error names the file. */
enum sto_status sto_chat_offer_tools(struct sto_conversation *c, const char *path, struct sto_error *err);
/* Prints a line for each tool: its name, and what it is good for. */
enum sto_status sto_chat_list_tools(const struct sto_conversation *c, struct sto_error *err);

/* False too when there is no message i. */
bool sto_chat_has_role(const struct sto_conversation *c, size_t i, const char *role);

enum { STO_CHAT_NAME_BYTES = 64 };

/* How many calls of the last answer have no result yet; the name of the first of them, cut off where it is long. */
size_t sto_chat_open_calls(const struct sto_conversation *c, char name[STO_CHAT_NAME_BYTES]);
/* Adds the result of the first such call as a message. STO_ERR_USAGE: there is none. */
enum sto_status sto_chat_add_result(struct sto_conversation *c, const char *text, struct sto_error *err);

#endif
