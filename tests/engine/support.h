/* A device and engines as the tests of the engine use them: opened with validation where it is installed, so that
 * every test also asserts that the validation layer stays silent. Failing to open ends the program with a message,
 * except for a missing device, which tests report as a failure of their own. */
#ifndef STO_TEST_ENGINE_SUPPORT_H
#define STO_TEST_ENGINE_SUPPORT_H

#include "runtime/strato.h"
#include "tests/support/synth.h"

struct sto_test_device {
    struct sto_device *device;
    char log[4096];  /* warnings and errors, for the failure message */
    unsigned errors; /* errors among them, those of closing too      */
};

void sto_test_device_open(struct sto_test_device *t, const struct sto_device_params *params);
/* Fails the test when the validation layer had anything to say. */
void sto_test_device_close(struct sto_test_device *t);

/* Opens the model at path, makes an engine, evaluates the tokens, gives all logits [n, n_vocab] (free with free). */
float *sto_test_logits(struct sto_test_device *t, const char *path, const struct sto_engine_params *params,
                       const uint32_t *tokens, size_t n);

/* The file of a model of the reference data ("formats", "families"; those of families are made by a script first).
 * False: it is not there. */
bool sto_test_model_path(const char *folder, const char *model, char *path, size_t size);

/* Writes a model of random weights under the temporary folder and opens it, for a group's set-up. path [size] is where,
 * for the caller to remove after closing. NULL, with a message printed: it could not be. */
struct sto_model *sto_test_synth_model(const struct sto_synth *shape, const char *name, char *path, size_t size);

#endif
