/* Logits of a model by llama.cpp: peer_logits MODEL OUT TOKEN... writes f32 [tokens, n_vocab]. Part of make_synth.py,
 * not of the build: cc peer_logits.c -lllama -lggml -lggml-base (Debian: libllama-dev). One thread, float32 KV cache,
 * no flash attention; give it a file whose weights are F32, then all arithmetic is float32. */
#include <llama.h>
#include <stdio.h>
#include <stdlib.h>

static struct llama_batch batch_of(int n, char **tokens)
{
    struct llama_batch batch = llama_batch_init(n, 0, 1);

    for (int i = 0; i < n; i++) {
        batch.token[i] = atoi(tokens[i]);
        batch.pos[i] = i;
        batch.n_seq_id[i] = 1;
        batch.seq_id[i][0] = 0;
        batch.logits[i] = 1;
    }
    batch.n_tokens = n;
    return batch;
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    ggml_backend_load_all();
    struct llama_context_params params = llama_context_default_params();
    params.n_ctx = params.n_batch = params.n_ubatch = 256;
    params.n_threads = params.n_threads_batch = 1;
    params.type_k = params.type_v = GGML_TYPE_F32;
    params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
    struct llama_model *model = llama_model_load_from_file(argv[1], llama_model_default_params());
    struct llama_context *context = model != NULL ? llama_init_from_model(model, params) : NULL;
    FILE *file = fopen(argv[2], "wb");
    const int n = argc - 3;
    if (context == NULL || file == NULL || llama_decode(context, batch_of(n, argv + 3)) != 0)
        return 1;
    const size_t n_vocab = (size_t)llama_vocab_n_tokens(llama_model_get_vocab(model));
    for (int i = 0; i < n; i++)
        fwrite(llama_get_logits_ith(context, i), sizeof(float), n_vocab, file);
    return fclose(file) != 0;
}
