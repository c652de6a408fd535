/* No kernel of shaders/kernels.txt is without cases. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/verify/verify.h"

static void every_kernel_has_cases(void **state)
{
    (void)state;
    unsigned missing = 0;
    for (int k = 0; k < STO_KERNEL_COUNT; k++) {
        const struct sto_kernel_info *info = sto_kernel_get((enum sto_kernel)k);
        if (sto_verify_covers((enum sto_kernel)k))
            continue;
        print_error("kernel %s: runtime/verify has no cases for %s\n", info->name, info->source);
        missing++;
    }
    assert_int_equal(missing, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_kernel_has_cases)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
