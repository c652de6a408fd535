/* How fast a machine moves and computes: what the planner reckons with (host/planner.h), what runtime/probe.h measures,
 * and what a person may give as text instead. */
#ifndef STO_RATES_H
#define STO_RATES_H

#include "runtime/strato.h"

/* 0: not known. GB are 10^9 bytes. */
struct sto_rates {
    double vram_gb_per_s;             /* the device reads its own memory                                          */
    double product_gb_per_s;          /* the device's products of one column, weights read; not known: as vram    */
    double compute_tflop_per_s;       /* the device's products of many columns                                    */
    double link_gb_per_s;             /* host to device, from pinned memory                                       */
    double link_unpinned_gb_per_s;    /* likewise from ordinary memory, through staging                           */
    double link_back_gb_per_s;        /* device to host, into pinned memory                                       */
    double link_back_unpinned_gb_per_s;
    double dram_gb_per_s;             /* the processor reads memory, on all threads                               */
    double dram_shared_gb_per_s;      /* processor and link together, both at work; not known: as dram            */
    double disk_gb_per_s;             /* a file is read that is not in memory                                     */
    double cpu_gb_per_s;              /* the processor's products of one column; not known: no cpu lane           */
    double cpu_tflop_per_s;           /* the processor's products of many columns                                 */
    double crossing_us;               /* activations from device to processor, or back, and one waits for the other */
    double step_us;                   /* what a step costs beside its layers: handing it over, sampling           */
};

/* The name that text has for a rate, such as "link"; what it means; its unit. False past the end. Static storage. */
struct sto_rate_info {
    const char *name, *unit, *what;
    size_t offset; /* of the double in struct sto_rates */
};
bool sto_rate_at(size_t i, struct sto_rate_info *out);
double sto_rate_get(const struct sto_rates *rates, size_t i);
void sto_rate_set(struct sto_rates *rates, size_t i, double value);

/* Takes over what `from` knows. */
void sto_rates_merge(struct sto_rates *rates, const struct sto_rates *from);

/* "vram=300,link=13.2", or a line each, blanks and what follows # ignored; in the units above. Text from outside, read
 * as hostile: at most STO_MAX_RATES_BYTES. `name` stands for it in errors, which name line and key. *out is complete or
 * zeroed. STO_ERR_USAGE: a key that there is none of or that comes twice, a value that is no number from 0 to 10^6. */
enum { STO_MAX_RATES_BYTES = 64 << 10 };
enum sto_status sto_rates_parse(const char *name, const char *text, size_t size, struct sto_rates *out,
                                struct sto_error *err);

/* The same text for other figures: `out` is a struct of doubles, infos[i].offset where each lies. At most
 * STO_MAX_NUMBERS of them. */
enum { STO_MAX_NUMBERS = 32 };
struct sto_number_table {
    const struct sto_rate_info *infos; /* [n] */
    size_t n, out_bytes;               /* out_bytes: of the struct */
};
enum sto_status sto_numbers_parse(const struct sto_number_table *table, const char *name, const char *text, size_t size,
                                  void *out, struct sto_error *err);

#endif
