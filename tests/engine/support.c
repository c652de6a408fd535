/* Opening devices and engines for tests. */
#include "tests/engine/support.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <cmocka.h>

#include "runtime/base/os.h"
#include "runtime/vk/device.h"
#include "tests/support/expected.h"

static void keep_log(void *user, enum sto_log_level level, const char *line)
{
    struct sto_test_device *t = user;
    const size_t n = strlen(t->log);
    t->errors += level == STO_LOG_ERROR;
    if (level <= STO_LOG_WARNING)
        (void)snprintf(t->log + n, sizeof t->log - n, "%s\n", line);
}

void sto_test_device_open(struct sto_test_device *t, const struct sto_device_params *params)
{
    struct sto_device_params p = params != NULL ? *params : (struct sto_device_params){0};
    const struct sto_callbacks callbacks = {.user = t, .log = keep_log};
    struct sto_error err = {0};
    *t = (struct sto_test_device){0};
    p.validation = true;
    p.cache_dir = "";
    if (sto_device_open(&p, &callbacks, &t->device, &err) != STO_OK)
        fail_msg("no device: %s", err.message);
}

void sto_test_device_close(struct sto_test_device *t)
{
    const uint32_t errors = sto_device_validation_errors(t->device);
    sto_device_close(t->device); /* what was not destroyed before is an error of this call */
    t->device = NULL;
    if (errors != 0 || t->errors != 0)
        fail_msg("%u validation errors, %u in all:\n%s", errors, t->errors, t->log);
}

float *sto_test_logits(struct sto_test_device *t, const char *path, const struct sto_engine_params *params,
                       const uint32_t *tokens, size_t n)
{
    struct sto_model *model = NULL;
    struct sto_engine *engine = NULL;
    struct sto_session *session = NULL;
    struct sto_error err = {0};
    float *logits = NULL;
    if (sto_model_open(path, NULL, NULL, &model, &err) == STO_OK &&
        sto_engine_create(t->device, model, params, NULL, &engine, &err) == STO_OK &&
        sto_session_create(engine, &session, &err) == STO_OK) {
        logits = malloc(n * sto_model_n_vocab(model) * sizeof *logits);
        assert_non_null(logits);
        (void)sto_session_eval(session, tokens, n, STO_LOGITS_ALL, logits, &err);
    }
    sto_session_destroy(session);
    sto_engine_destroy(engine);
    sto_model_close(model);
    if (err.status != STO_OK)
        fail_msg("%s", err.message);
    return logits;
}

bool sto_test_model_path(const char *folder, const char *model, char *path, size_t size)
{
    if (strcmp(folder, "formats") == 0)
        return sto_reference_path(path, size, folder, model, ".gguf");
    const char *made = getenv("STRATO_FAMILIES");
    (void)snprintf(path, size, "%s/%s.gguf", made != NULL ? made : "", model);
    FILE *f = fopen(path, "rb");
    if (f != NULL)
        (void)fclose(f);
    return f != NULL;
}

struct sto_model *sto_test_synth_model(const struct sto_synth *shape, const char *name, char *path, size_t size)
{
    const char *tmp = getenv("TMPDIR");
    struct sto_model *model = NULL;
    struct sto_error err = {0};
    (void)snprintf(path, size, "%s/strato-%s-%llx.gguf", tmp != NULL ? tmp : "/tmp", name,
                   (unsigned long long)sto_wall_seed());
    if (sto_synth_write(shape, path, &err) == STO_OK && sto_model_open(path, NULL, NULL, &model, &err) == STO_OK)
        return model;
    print_error("%s\n", err.message);
    return NULL;
}
