/* The strato program: finds the command and runs it. */
#include <stdio.h>

#include "runtime/strato.h"

int main(void)
{
    puts(sto_version());
    return 0;
}
