/* make_case OUT NAME: writes one of the small invented models of tests/support/synth_cases.c.
 * make_case list: their names. */
#include "tests/support/synth.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    struct sto_error err = {.status = STO_OK};
    const struct sto_synth_case *c = argc == 3 ? sto_synth_case_find(argv[2]) : NULL;

    if (argc == 2 && strcmp(argv[1], "list") == 0) {
        for (size_t i = 0; sto_synth_case_at(i) != NULL; i++)
            puts(sto_synth_case_at(i)->name);
        return 0;
    }
    if (c == NULL)
        sto_fail(&err, STO_ERR_USAGE, "usage: make_case OUT NAME | make_case list");
    else
        sto_synth_write(&c->model, argv[1], &err);
    if (err.status != STO_OK)
        (void)fprintf(stderr, "%s\n", err.message);
    return (int)err.status;
}
