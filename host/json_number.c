/* Numbers as JSON and Python write them. The C library does the rounding; what it does with the locale's decimal point
 * is avoided: digits are picked out of what it prints, and it reads numbers that are written without a point. */
#include "host/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MOST_DIGITS = 17,        /* that a double may need */
    MAX_NUMBER_BYTES = 1100, /* digits beyond these cannot change a double that reads them as "something more" */
};

static double power_form(const char *digits, size_t n, int exponent)
{
    char text[MAX_NUMBER_BYTES + 32];
    snprintf(text, sizeof text, "%.*se%d", (int)n, digits, exponent);
    return strtod(text, NULL);
}

/* x > 0 as n decimal digits d1 d2 ..., which stand for d1.d2... * 10^exponent; returns the exponent. */
static int digits_of(double x, int n, char *digits)
{
    char text[64];
    snprintf(text, sizeof text, "%.*e", n - 1, x);
    const char *e = strchr(text, 'e');
    int found = 0;
    for (const char *c = text; c < e && found < n; c++) {
        if (*c >= '0' && *c <= '9')
            digits[found++] = *c;
    }
    return (int)strtol(e + 1, NULL, 10);
}

static size_t put_digits(char *out, const char *digits, int n, int exponent)
{
    size_t size = 0;
    if (exponent < -4 || exponent >= 16) {
        out[size++] = digits[0];
        if (n > 1)
            out[size++] = '.';
        for (int i = 1; i < n; i++)
            out[size++] = digits[i];
        return size + (size_t)snprintf(out + size, 8, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
    }
    if (exponent < 0) {
        out[size++] = '0';
        out[size++] = '.';
        for (int i = -1; i > exponent; i--)
            out[size++] = '0';
        for (int i = 0; i < n; i++)
            out[size++] = digits[i];
        return size;
    }
    for (int i = 0; i <= exponent || i < n; i++) {
        if (i == exponent + 1)
            out[size++] = '.';
        out[size++] = i < n ? digits[i] : '0';
    }
    if (n <= exponent + 1) {
        out[size++] = '.';
        out[size++] = '0';
    }
    return size;
}

size_t sto_float_text(double x, char out[STO_FLOAT_TEXT_BYTES])
{
    size_t size = 0;
    if (isnan(x) || isinf(x)) {
        const char *name = isnan(x) ? "nan" : x < 0 ? "-inf" : "inf";
        size = strlen(name);
        memcpy(out, name, size + 1);
        return size;
    }
    if (signbit(x))
        out[size++] = '-';
    const double positive = fabs(x);
    char digits[MOST_DIGITS + 1];
    int n = 1, exponent = 0;
    digits[0] = '0';
    if (positive > 0) {
        for (n = 1; n <= MOST_DIGITS; n++) {
            exponent = digits_of(positive, n, digits);
            if (n == MOST_DIGITS || power_form(digits, (size_t)n, exponent - n + 1) == positive)
                break;
        }
    }
    size += put_digits(out + size, digits, n, exponent);
    out[size] = '\0';
    return size;
}

static size_t count_digits(const char *text, size_t size, size_t pos)
{
    size_t n = 0;
    while (pos + n < size && text[pos + n] >= '0' && text[pos + n] <= '9')
        n++;
    return n;
}

static bool read_integer(const char *digits, size_t n, bool negative, int64_t *out)
{
    uint64_t value = 0;
    for (size_t i = 0; i < n; i++) {
        if (!sto_mul_u64(value, 10, &value) || !sto_add_u64(value, (uint64_t)(digits[i] - '0'), &value))
            return false;
    }
    if (value > (uint64_t)INT64_MAX + (negative ? 1 : 0))
        return false;
    *out = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

/* mantissa: text[begin, begin + whole) and, after a point, fraction digits. */
static double read_float(const char *text, size_t begin, size_t whole, size_t fraction, int64_t exponent)
{
    char digits[MAX_NUMBER_BYTES];
    size_t n = 0;
    for (size_t i = 0; i < whole + fraction; i++) {
        const char c = text[begin + i + (i >= whole ? 1 : 0)];
        if (n == 0 && c == '0' && i + 1 < whole + fraction) {
            exponent -= i >= whole ? 1 : 0;
            continue;
        }
        if (n == MAX_NUMBER_BYTES - 1) { /* something beyond the last digit: it decides only an exact half */
            digits[n - 1] = digits[n - 1] == '0' && c != '0' ? '1' : digits[n - 1];
            exponent += i < whole ? 1 : 0;
            continue;
        }
        digits[n++] = c;
        exponent -= i >= whole ? 1 : 0;
    }
    const int64_t limit = 100000;
    return power_form(digits, n, (int)(exponent > limit ? limit : exponent < -limit ? -limit : exponent));
}

size_t sto_number_read(const char *text, size_t size, struct sto_value *out)
{
    const bool negative = size > 0 && text[0] == '-';
    const size_t begin = negative ? 1 : 0;
    const size_t whole = count_digits(text, size, begin);
    size_t pos = begin + whole, fraction = 0;
    int64_t exponent = 0;
    bool integer = true;
    if (whole == 0 || (whole > 1 && text[begin] == '0'))
        return 0;
    if (pos + 1 < size && text[pos] == '.' && (fraction = count_digits(text, size, pos + 1)) > 0) {
        pos += 1 + fraction;
        integer = false;
    }
    if (pos + 1 < size && (text[pos] == 'e' || text[pos] == 'E')) {
        const size_t sign = text[pos + 1] == '-' || text[pos + 1] == '+' ? 1 : 0;
        const size_t n = count_digits(text, size, pos + 1 + sign);
        for (size_t i = 0; i < n && exponent < 1 << 30; i++)
            exponent = exponent * 10 + (text[pos + 1 + sign + i] - '0');
        if (n > 0) {
            exponent = text[pos + 1] == '-' ? -exponent : exponent;
            pos += 1 + sign + n;
            integer = false;
        }
    }
    int64_t value = 0;
    if (integer && read_integer(text + begin, whole, negative, &value)) {
        *out = sto_value_int(value);
        return pos;
    }
    const double x = read_float(text, begin, whole, fraction, exponent);
    *out = sto_value_float(negative ? -x : x);
    return pos;
}
