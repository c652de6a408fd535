/* --place: a lane for each layer, from text. */
#ifndef STO_CLI_PLACE_H
#define STO_CLI_PLACE_H

#include <stddef.h>

#include "runtime/strato.h"

/* "stream" for all layers, or "resident:0-19,stream:20-31,cpu:32,phased:33-35": layers that are not named are resident.
 * The word "cpu" alone asks for no device at all (sto_place_needs_device): embedding and logits are on the processor
 * too. *lanes [n_layers] is the caller's to free with sto_free; NULL after an error. STO_ERR_USAGE says which part is
 * wrong: an unknown lane, a range that is none or beyond the model, a layer named twice. */
enum sto_status sto_parse_place(const char *text, uint32_t n_layers, enum sto_lane **lanes, struct sto_error *err);
bool sto_place_needs_device(const char *text);
/* Lanes beside a device as such a text, which reads back as the same lanes, within size bytes; what does not fit is cut
 * off. */
void sto_place_text(const enum sto_lane *lanes, uint32_t n_layers, char *text, size_t size);

#endif
