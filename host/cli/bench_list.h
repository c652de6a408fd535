/* Lists of numbers as llama-bench takes them: "512", "128,256", "1-4", "0-4096+1024", "1-512*2". */
#ifndef STO_CLI_BENCH_LIST_H
#define STO_CLI_BENCH_LIST_H

#include "host/cli/options.h"

enum { STO_MAX_BENCH_VALUES = 64 };

struct sto_bench_list {
    uint32_t values[STO_MAX_BENCH_VALUES];
    size_t n;
};

/* Appends to *list what `texts` says, item by item: a number; first-last in steps of 1; first-last+step;
 * first-last*factor. Values lie in [low, high]. STO_ERR_USAGE names `option`, the item and what would be right. */
enum sto_status sto_bench_list_read(const char *option, const struct sto_text_list *texts, uint32_t low, uint32_t high,
                                    struct sto_bench_list *list, struct sto_error *err);
/* The largest value; 0 for an empty list. */
uint32_t sto_bench_list_max(const struct sto_bench_list *list);

#endif
