/* Which specialisation constants a kernel may have besides those of its rule: what `strato tune` searches, and what a
 * file of findings may contain. A pure function of snapshot and plan, like the rules in tuning.c.
 *
 * Order of sums. Every constant here leaves it alone but one: the workgroup size of matvec*.comp, whose invocations
 * share a row. So a column's logits may differ in the last bits between two tunings, as between two cards; within one
 * tuning they never depend on what shares their batch. */
#ifndef STO_VK_TUNING_SPACE_H
#define STO_VK_TUNING_SPACE_H

#include "runtime/vk/tuning.h"

enum { STO_MAX_CHOICES = 6 };

/* Values for constant i of in->kernel, ascending; returns how many, 0: the rule's value is the only one. A combination
 * of choices need not be possible. */
uint32_t sto_tuning_choices(const struct sto_tuning_input *in, uint32_t constant, uint32_t choices[STO_MAX_CHOICES]);

/* True when each constant is the rule's or a choice, and they go together: a workgroup is filled evenly, sums fit in
 * registers, shared memory suffices. The rule's own are always possible. */
bool sto_tuning_possible(const struct sto_tuning_input *in, const struct sto_tuning *tuning);

#endif
