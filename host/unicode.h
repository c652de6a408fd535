/* What is to be known about a code point: general category, script Han, white space, case.
 *
 * Tables of our own, not the C library's or a regex library's: which ids a text gives must not depend on the
 * machine. Regenerate with host/unicode_data.py. Pure functions: any thread. */
#ifndef STO_UNICODE_H
#define STO_UNICODE_H

#include <stdint.h>

/* General categories, in the order of the generated table. */
enum {
    STO_UNICODE_LU, STO_UNICODE_LL, STO_UNICODE_LT, STO_UNICODE_LM, STO_UNICODE_LO,
    STO_UNICODE_MN, STO_UNICODE_MC, STO_UNICODE_ME,
    STO_UNICODE_ND, STO_UNICODE_NL, STO_UNICODE_NO,
    STO_UNICODE_PC, STO_UNICODE_PD, STO_UNICODE_PS, STO_UNICODE_PE, STO_UNICODE_PI, STO_UNICODE_PF, STO_UNICODE_PO,
    STO_UNICODE_SM, STO_UNICODE_SC, STO_UNICODE_SK, STO_UNICODE_SO,
    STO_UNICODE_ZS, STO_UNICODE_ZL, STO_UNICODE_ZP,
    STO_UNICODE_CC, STO_UNICODE_CF, STO_UNICODE_CS, STO_UNICODE_CO, STO_UNICODE_CN,
    STO_UNICODE_CATEGORY = 0x1f, /* mask of the category                  */
    STO_UNICODE_HAN = 0x20,      /* flag: script Han                      */
    STO_UNICODE_WHITE = 0x40,    /* flag: White_Space, what \s stands for */
    STO_UNICODE_PROPS = 0x80     /* properties are below this             */
};

uint8_t sto_unicode_props(uint32_t cp); /* any value; beyond U+10FFFF is unassigned */
/* The simple case mappings: one code point to one, itself where there is none. */
uint32_t sto_unicode_lower(uint32_t cp);
uint32_t sto_unicode_upper(uint32_t cp);

#endif
