/* Rates as text: what is read, and what is refused by line and key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/rates.h"

static enum sto_status parse(const char *text, struct sto_rates *out, struct sto_error *err)
{
    return sto_rates_parse("--rates", text, strlen(text), out, err);
}

static void rates_are_read(void **state)
{
    struct sto_rates r;
    (void)state;
    assert_int_equal(parse("vram=300,link=13.25", &r, NULL), STO_OK);
    assert_true(r.vram_gb_per_s == 300 && r.link_gb_per_s == 13.25 && r.cpu_gb_per_s == 0);
    const char *lines = "# a card\n\n vram = 448 \t# GB/s\r\nlink=.5, crossing=40.,\r\ncompute=22";
    assert_int_equal(parse(lines, &r, NULL), STO_OK);
    assert_true(r.vram_gb_per_s == 448 && r.link_gb_per_s == 0.5 && r.crossing_us == 40);
    assert_true(r.compute_tflop_per_s == 22);
    assert_int_equal(parse("", &r, NULL), STO_OK);
    assert_true(r.vram_gb_per_s == 0);
    assert_int_equal(parse("link=1000000", &r, NULL), STO_OK);
    struct sto_rates measured = {.vram_gb_per_s = 200, .dram_gb_per_s = 60};
    sto_rates_merge(&measured, &r);
    assert_true(measured.vram_gb_per_s == 200 && measured.link_gb_per_s == 1e6 && measured.dram_gb_per_s == 60);
}

/* Every key of the table is read into the field that the table names. */
static void every_rate_has_a_key(void **state)
{
    struct sto_rate_info info;
    (void)state;
    size_t n = 0;
    for (; sto_rate_at(n, &info); n++) {
        char text[64];
        struct sto_rates r;
        (void)snprintf(text, sizeof text, "%s=7", info.name);
        assert_int_equal(parse(text, &r, NULL), STO_OK);
        for (size_t i = 0; i < sizeof r / sizeof(double); i++)
            assert_true(((const double *)(const void *)&r)[i] == (i * sizeof(double) == info.offset ? 7 : 0));
        assert_true(sto_rate_get(&r, n) == 7);
    }
    assert_int_equal(n * sizeof(double), sizeof(struct sto_rates));
}

static void wrong_text_is_refused(void **state)
{
    static const char *const texts[][2] = {
        {"speed=3", "line 1: there is no rate 'speed': vram, "},
        {"vram", "line 1: vram: '' is no number from 0 to 1000000 (GB/s)"},
        {"vram=300\nlink=fast", "line 2: link: 'fast'"},
        {"vram=-1", "vram: '-1'"},
        {"vram=1e3", "vram: '1e3'"},
        {"vram=1.2.3", "vram: '1.2.3'"},
        {"vram=.", "vram: '.'"},
        {"vram=1000001", "vram: '1000001'"},
        {"vram=0000000000000000", "vram: '0000000000000000'"},
        {"crossing=nan", "crossing: 'nan' is no number from 0 to 1000000 (us)"},
        {"=3", "there is no rate ''"},
        {"vram=3,vram=3", "vram comes twice"},
        {"VRAM=3", "there is no rate 'VRAM'"},
        {"\x01\xff=3", "there is no rate '\?\?'"},
        {"vram=300 link=13", "vram: '300 link=13'"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct sto_rates r = {.disk_gb_per_s = 1};
        struct sto_error err = {0};
        assert_int_equal(parse(texts[i][0], &r, &err), STO_ERR_USAGE);
        if (strstr(err.message, texts[i][1]) == NULL)
            fail_msg("'%s': '%s' does not say '%s'", texts[i][0], err.message, texts[i][1]);
        assert_true(r.disk_gb_per_s == 0 && r.vram_gb_per_s == 0);
    }
    static char large[STO_MAX_RATES_BYTES + 1];
    struct sto_rates r;
    memset(large, '\n', sizeof large);
    assert_int_equal(sto_rates_parse("x", large, sizeof large, &r, NULL), STO_ERR_USAGE);
    assert_int_equal(sto_rates_parse("x", large, sizeof large - 1, &r, NULL), STO_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_are_read),
        cmocka_unit_test(every_rate_has_a_key),
        cmocka_unit_test(wrong_text_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
