/* The strato program: finds the command and runs it. */
#include <stdio.h>
#include <string.h>

#include "host/cli/cli.h"

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "info") == 0)
        return sto_cmd_info(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "tokenize") == 0)
        return sto_cmd_tokenize(argc - 1, argv + 1);
    puts(sto_version());
    return 0;
}
