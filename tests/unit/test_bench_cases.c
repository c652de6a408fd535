/* No kernel of shaders/kernels.txt that bench/kernels could not time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/measure/kernel_case.h"

static void every_kernel_can_be_timed(void **state)
{
    (void)state;
    unsigned missing = 0;
    for (int k = 0; k < STO_KERNEL_COUNT; k++) {
        const struct sto_kernel_info *info = sto_kernel_get((enum sto_kernel)k);
        if (sto_kernel_case_known((enum sto_kernel)k))
            continue;
        print_error("kernel %s: bench/ has no case for %s\n", info->name, info->source);
        missing++;
    }
    assert_int_equal(missing, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_kernel_can_be_timed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
