#!/usr/bin/env python3
"""Writes host/unicode_data.c from the Unicode character database (Debian's package unicode-data).

    python3 host/unicode_data.py [FOLDER] > host/unicode_data.c        FOLDER defaults to /usr/share/unicode
"""
import re
import sys

CATEGORIES = ("Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Cs Co Cn").split()
HAN, WHITE, BLOCK = 0x20, 0x40, 128
folder = sys.argv[1] if len(sys.argv) > 1 else "/usr/share/unicode"

props = [CATEGORIES.index("Cn")] * 0x110000
lower, upper = {}, {}  # simple case mappings
first = None
for line in open(f"{folder}/UnicodeData.txt", encoding="utf-8"):
    fields = line.split(";")
    cp = int(fields[0], 16)
    if fields[1].endswith(", First>"):
        first = cp
        continue
    for c in range(cp if first is None else first, cp + 1):
        props[c] = CATEGORIES.index(fields[2])
        upper |= {c: int(fields[12], 16)} if fields[12] else {}
        lower |= {c: int(fields[13], 16)} if fields[13] else {}
    first = None


def flag(file, name, bit):
    for line in open(f"{folder}/{file}", encoding="utf-8"):
        m = re.match(r"([0-9A-F]+)(?:\.\.([0-9A-F]+))?\s*;\s*(\w+)", line)
        if m and m[3] == name:
            for c in range(int(m[1], 16), int(m[2] or m[1], 16) + 1):
                props[c] |= bit


flag("Scripts.txt", "Han", HAN)
flag("PropList.txt", "White_Space", WHITE)
version = re.search(r"Scripts-([0-9.]+)\.txt", open(f"{folder}/Scripts.txt", encoding="utf-8").readline())[1]

year = re.search(r"(\d{4}) Unicode", open(f"{folder}/Scripts.txt", encoding="utf-8").read(2000))[1]

blocks, stage1 = {}, []
for start in range(0, 0x110000, BLOCK):
    stage1.append(blocks.setdefault(tuple(props[start:start + BLOCK]), len(blocks)))
assert len(blocks) <= 0x10000


def rows(values):
    line = "   "
    for v in values:
        if len(line) + len(f" {v},") > 120:
            print(line)
            line = "   "
        line += f" {v},"
    print(line)


def case_runs(name, mapping):
    """Code points that map by one distance, with one distance between them."""
    runs = []
    for c in sorted(mapping):
        if runs:
            begin, end, step, shift = runs[-1]
            if mapping[c] - c == shift and c - end in (1, 2) and (step == 0 or c - end == step):
                runs[-1] = (begin, c, c - end, shift)
                continue
        runs.append((c, c, 0, mapping[c] - c))
    print(f"\nstatic const struct case_run {name}[{len(runs)}] = {{")
    rows(f"{{0x{b:x}, 0x{e:x}, {max(step, 1)}, {shift}}}" for b, e, step, shift in runs)
    print("};")


print(f"""/* Properties of every code point, Unicode {version}; written by host/unicode_data.py, not by hand.
 * Data: UnicodeData.txt, Scripts.txt and PropList.txt of the Unicode character database, copyright 1991 to {year}
 * Unicode, Inc., under the Unicode licence (unicode.org/license.txt). */
#include "host/unicode.h"
""")
print(f"static const uint16_t block_of[{len(stage1)}] = {{")
rows(stage1)
print(f"}};\n\nstatic const uint8_t props_of[{len(blocks)} * {BLOCK}] = {{")
for block in blocks:
    rows(block)
print("""};

/* Every step-th code point from first to last maps to itself plus shift. */
struct case_run {
    uint32_t first, last, step;
    int32_t shift;
};""")
case_runs("lower_runs", lower)
case_runs("upper_runs", upper)
print("""
uint8_t sto_unicode_props(uint32_t cp)
{
    if (cp > 0x10ffff)
        return STO_UNICODE_CN;
    return props_of[(uint32_t)block_of[cp / 128] * 128 + cp % 128];
}

static uint32_t map_case(const struct case_run *runs, uint32_t n, uint32_t cp)
{
    uint32_t low = 0, high = n; /* the run, if there is one, is in [low, high) */
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        const struct case_run *run = &runs[middle];
        if (cp > run->last)
            low = middle + 1;
        else if (cp < run->first)
            high = middle;
        else
            return (cp - run->first) % run->step == 0 ? cp + (uint32_t)run->shift : cp;
    }
    return cp;
}

uint32_t sto_unicode_lower(uint32_t cp)
{
    return map_case(lower_runs, sizeof lower_runs / sizeof *lower_runs, cp);
}

uint32_t sto_unicode_upper(uint32_t cp)
{
    return map_case(upper_runs, sizeof upper_runs / sizeof *upper_runs, cp);
}""")
