/* The smallest program around libstrato: loads a GGUF file and prints what the model says to a prompt.
 *   cc generate.c $(pkg-config --cflags --static --libs strato) -o generate
 *   ./generate model.gguf "Tell me about foxes." */
#include <stdio.h>

#include <strato/generate.h>
#include <strato/strato.h>

static bool print(void *user, const char *text, size_t size)
{
    (void)user;
    fwrite(text, 1, size, stdout);
    fflush(stdout);
    return false; /* true would stop */
}

int main(int argc, char **argv)
{
    struct sto_device *device = NULL;
    struct sto_model *model = NULL;
    struct sto_engine *engine = NULL;
    struct sto_generator *generator = NULL;
    struct sto_generate_params params;
    struct sto_generate_result result = {0};
    struct sto_error err = {0};

    if (argc != 3) {
        fprintf(stderr, "usage: generate MODEL PROMPT\n");
        return STO_ERR_USAGE;
    }
    sto_generate_defaults(&params);
    params.prompt = argv[2];
    params.max_tokens = 100;
    params.on_text = print;
    if (sto_device_open(NULL, NULL, &device, &err) == STO_OK &&
        sto_model_open(argv[1], NULL, NULL, &model, &err) == STO_OK &&
        sto_engine_create(device, model, NULL, NULL, &engine, &err) == STO_OK &&
        sto_generator_create(engine, &generator, &err) == STO_OK)
        sto_generate(generator, &params, &result, &err);
    if (err.status == STO_OK)
        printf("\n");
    else
        fprintf(stderr, "generate: %s\n", err.message);
    sto_generate_result_free(&result);
    sto_generator_destroy(generator);
    sto_engine_destroy(engine);
    sto_model_close(model);
    sto_device_close(device);
    return (int)err.status;
}
