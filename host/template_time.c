/* Dates without the C library, so that neither locale nor time zone changes what a template prints. Days since 1970
 * to a date and back: the proleptic Gregorian calendar, counted in years that begin in March. */
#include "host/template_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "host/json.h"

static const char *const months[] = {"January", "February", "March",     "April",   "May",      "June",
                                     "July",    "August",   "September", "October", "November", "December"};
static const char *const weekdays[] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};

enum { DAY_SECONDS = 86400, DAYS_IN_400_YEARS = 146097, DAYS_FROM_0000_03_01 = 719468, MAX_YEAR = 9999 };

struct date {
    int64_t year;
    int month, day;        /* from 1 */
    int weekday, year_day; /* Sunday is 0; the first of January is 0 */
    int hour, minute, second;
};

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0 ? 1 : 0);
}

static int64_t days_of(int64_t year, int month, int day)
{
    const int64_t y = month <= 2 ? year - 1 : year;
    const int64_t era = floor_div(y, 400), in_era = y - era * 400;
    const int64_t in_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * DAYS_IN_400_YEARS + in_era * 365 + in_era / 4 - in_era / 100 + in_year - DAYS_FROM_0000_03_01;
}

static struct date date_of(int64_t seconds)
{
    struct date d;
    const int64_t days = floor_div(seconds, DAY_SECONDS), rest = seconds - days * DAY_SECONDS;
    const int64_t shifted = days + DAYS_FROM_0000_03_01, era = floor_div(shifted, DAYS_IN_400_YEARS);
    const int64_t in_era = shifted - era * DAYS_IN_400_YEARS;
    const int64_t year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    const int64_t in_year = in_era - (365 * year + year / 4 - year / 100), month = (5 * in_year + 2) / 153;
    d.day = (int)(in_year - (153 * month + 2) / 5 + 1);
    d.month = (int)(month < 10 ? month + 3 : month - 9);
    d.year = year + era * 400 + (d.month <= 2 ? 1 : 0);
    d.weekday = (int)(((days + 4) % 7 + 7) % 7);
    d.year_day = (int)(days - days_of(d.year, 1, 1));
    d.hour = (int)(rest / 3600);
    d.minute = (int)(rest / 60 % 60);
    d.second = (int)(rest % 60);
    return d;
}

/* One conversion; `bare`: without zeros in front. Returns 0 where it is not known. */
static size_t convert(const struct date *d, char c, bool bare, char *out, size_t room)
{
    const int hour12 = d->hour % 12 == 0 ? 12 : d->hour % 12;
    const struct {
        char name;
        int value, digits;
    } numbers[] = {{'d', d->day, 2},
                   {'m', d->month, 2},
                   {'y', (int)(d->year % 100), 2},
                   {'H', d->hour, 2},
                   {'I', hour12, 2},
                   {'M', d->minute, 2},
                   {'S', d->second, 2},
                   {'j', d->year_day + 1, 3},
                   {'w', d->weekday, 1},
                   {'u', d->weekday == 0 ? 7 : d->weekday, 1},
                   {'U', (d->year_day + 7 - d->weekday) / 7, 2},
                   {'W', (d->year_day + 7 - (d->weekday + 6) % 7) / 7, 2}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (numbers[i].name == c)
            return (size_t)snprintf(out, room, "%0*d", bare ? 1 : numbers[i].digits, numbers[i].value);
    }
    int n = 0;
    switch (c) {
    case 'Y': n = snprintf(out, room, "%" PRId64, d->year); break;
    case 'e': n = snprintf(out, room, bare ? "%d" : "%2d", d->day); break;
    case 'B': n = snprintf(out, room, "%s", months[d->month - 1]); break;
    case 'b':
    case 'h': n = snprintf(out, room, "%.3s", months[d->month - 1]); break;
    case 'A': n = snprintf(out, room, "%s", weekdays[d->weekday]); break;
    case 'a': n = snprintf(out, room, "%.3s", weekdays[d->weekday]); break;
    case 'p': n = snprintf(out, room, "%s", d->hour < 12 ? "AM" : "PM"); break;
    case 'f': n = snprintf(out, room, "000000"); break;
    case 'F': n = snprintf(out, room, "%" PRId64 "-%02d-%02d", d->year, d->month, d->day); break;
    case 'D':
    case 'x': n = snprintf(out, room, "%02d/%02d/%02d", d->month, d->day, (int)(d->year % 100)); break;
    case 'T':
    case 'X': n = snprintf(out, room, "%02d:%02d:%02d", d->hour, d->minute, d->second); break;
    case 'R': n = snprintf(out, room, "%02d:%02d", d->hour, d->minute); break;
    case 'c':
        n = snprintf(out, room, "%.3s %.3s %2d %02d:%02d:%02d %" PRId64, weekdays[d->weekday], months[d->month - 1],
                     d->day, d->hour, d->minute, d->second, d->year);
        break;
    case 'n': n = snprintf(out, room, "\n"); break;
    case 't': n = snprintf(out, room, "\t"); break;
    case '%': n = snprintf(out, room, "%%"); break;
    default: break;
    }
    return (size_t)n;
}

const struct sto_text *sto_format_time(struct sto_run *run, const struct sto_text *f, int64_t seconds)
{
    struct sto_builder b = {0};
    const int64_t most = days_of(MAX_YEAR, 12, 31) * DAY_SECONDS;
    const struct date d = date_of(seconds > most ? most : seconds < 0 ? 0 : seconds);
    for (size_t pos = 0; pos < f->size && !run->failed;) {
        char text[64];
        const bool conversion = f->data[pos] == '%' && pos + 1 < f->size;
        const bool bare = conversion && f->data[pos + 1] == '-' && pos + 2 < f->size;
        const size_t taken = bare ? 3 : 2;
        const size_t n = conversion ? convert(&d, f->data[pos + taken - 1], bare, text, sizeof text) : 0;
        if (n > 0)
            sto_build_bytes(run, &b, text, n, sto_origin(f, pos));
        else
            sto_build_slice(run, &b, f, pos, pos + 1);
        pos += n > 0 ? taken : 1;
    }
    return sto_built(run, &b);
}

/* ---- reading ---- */

/* `digits` digits and then one of the separators (or the end, where that is allowed). */
static bool read_part(const char **s, int digits, int most, int *out)
{
    *out = 0;
    for (int i = 0; i < digits; i++, (*s)++) {
        if (**s < '0' || **s > '9')
            return false;
        *out = *out * 10 + (**s - '0');
    }
    return *out <= most;
}

bool sto_template_parse_time(const char *text, int64_t *now)
{
    static const int month_days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const char *s = text;
    int year, month, day, hour = 0, minute = 0, second = 0;
    struct sto_value number;
    const size_t size = strlen(text);
    if (size > 0 && sto_number_read(text, size, &number) == size && number.kind == STO_VALUE_INT) {
        *now = number.integer;
        return number.integer >= 0 && number.integer / DAY_SECONDS <= days_of(MAX_YEAR, 12, 31);
    }
    if (!read_part(&s, 4, MAX_YEAR, &year) || *s++ != '-' || !read_part(&s, 2, 12, &month) || month == 0 ||
        *s++ != '-' || !read_part(&s, 2, month_days[month - 1], &day) || day == 0)
        return false;
    const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (year < 1970 || (month == 2 && day == 29 && !leap))
        return false;
    if (*s == ' ' || *s == 'T') {
        s++;
        if (!read_part(&s, 2, 23, &hour) || *s++ != ':' || !read_part(&s, 2, 59, &minute))
            return false;
        if (*s == ':' && (s++, !read_part(&s, 2, 59, &second)))
            return false;
        s += *s == 'Z' ? 1 : 0;
    }
    *now = days_of(year, month, day) * DAY_SECONDS + hour * 3600 + minute * 60 + second;
    return *s == '\0';
}
