/* Which device to use: the best, or the one that a person names. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/vk/device_plan.h"

/* ---- the best ---- */

static uint64_t score(const struct sto_device_snapshot *s)
{
    static const uint64_t rank[] = {[STO_DEVICE_OTHER] = 1, [STO_DEVICE_INTEGRATED] = 3, [STO_DEVICE_DISCRETE] = 4,
                                    [STO_DEVICE_VIRTUAL] = 2, [STO_DEVICE_CPU] = 0};
    struct sto_device_plan plan;
    if (sto_device_plan_make(s, NULL, &plan, NULL) != STO_OK)
        return 0;
    return 1 + (rank[s->kind] << 32) + (plan.device_heap_bytes >> 20);
}

uint32_t sto_device_choose(const struct sto_device_snapshot *snapshots, uint32_t n)
{
    uint32_t best = n;
    uint64_t best_score = 0;
    for (uint32_t i = 0; i < n; i++) {
        const uint64_t mine = score(&snapshots[i]);
        if (mine > best_score) {
            best = i;
            best_score = mine;
        }
    }
    return best;
}

/* ---- by name ---- */

static bool contains(const char *text, const char *part)
{
    for (; *text != '\0'; text++) {
        size_t i = 0;
        while (part[i] != '\0' && tolower((unsigned char)text[i]) == tolower((unsigned char)part[i]))
            i++;
        if (part[i] == '\0')
            return true;
    }
    return false;
}

/* "0 'A', 1 'B'" for errors. */
static void list_names(const struct sto_device_snapshot *list, uint32_t n, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < n && used < size; i++) {
        const int len = snprintf(text + used, size - used, "%s%u '%s'", i > 0 ? ", " : "", (unsigned)i, list[i].name);
        used += len > 0 ? (size_t)len : 0;
    }
}

enum sto_status sto_device_find(const struct sto_device_snapshot *list, uint32_t n, const char *name, uint32_t *out,
                                struct sto_error *err)
{
    char names[700];
    list_names(list, n, names, sizeof names);
    if (name == NULL || strcmp(name, "best") == 0) {
        *out = sto_device_choose(list, n);
        if (*out < n)
            return STO_OK;
        struct sto_device_plan plan;
        return sto_device_plan_make(&list[0], NULL, &plan, err); /* says why the first is not usable */
    }
    if (name[0] != '\0' && name[strspn(name, "0123456789")] == '\0') {
        const unsigned long index = strlen(name) < 9 ? strtoul(name, NULL, 10) : n;
        if (index >= n)
            return sto_fail(err, STO_ERR_NO_DEVICE, "there is no device %s; there are: %s", name, names);
        *out = (uint32_t)index;
        return STO_OK;
    }
    *out = n;
    for (uint32_t i = 0; name[0] != '\0' && i < n; i++) {
        if (!contains(list[i].name, name))
            continue;
        const struct sto_device_snapshot pair[2] = {list[*out < n ? *out : i], list[i]};
        if (*out == n || sto_device_choose(pair, 2) == 1)
            *out = i;
    }
    if (*out == n)
        return sto_fail(err, STO_ERR_NO_DEVICE, "no device is called '%s'; there are: %s", name, names);
    return STO_OK;
}
