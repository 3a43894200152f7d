// Logits of every token as native llama.cpp computes them: native MODEL.gguf OUT.f32 TOKEN,TOKEN,…
//
// Keys and values are kept in f32 and attention is not fused, so that what differs from the reference is what quantized
// products round. The context is the model's own, since that is what chooses between Phi-3's two sets of factors.

#include "llama.h"

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

static void quiet(ggml_log_level level, const char * text, void *) {
    if (level == GGML_LOG_LEVEL_ERROR) fputs(text, stderr);
}

int main(int argc, char ** argv) {
    if (argc != 4) return 2;
    std::vector<llama_token> tokens;
    for (char * at = argv[3]; *at; at += *at == ',') tokens.push_back(strtol(at, &at, 10));
    llama_log_set(quiet, nullptr);
    llama_backend_init();
    llama_model * model = llama_model_load_from_file(argv[1], llama_model_default_params());
    if (!model) return 1;
    llama_context_params params = llama_context_default_params();
    params.n_ctx = llama_model_n_ctx_train(model);
    params.n_batch = params.n_ubatch = 512;
    params.type_k = params.type_v = GGML_TYPE_F32;
    params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
    params.n_threads = params.n_threads_batch = 1;
    llama_context * context = llama_init_from_model(model, params);
    if (!context) return 1;
    llama_batch batch = llama_batch_init(tokens.size(), 0, 1);
    for (size_t i = 0; i < tokens.size(); i++) {
        batch.token[i] = tokens[i];
        batch.pos[i] = i;
        batch.n_seq_id[i] = 1;
        batch.seq_id[i][0] = 0;
        batch.logits[i] = true;
    }
    batch.n_tokens = tokens.size();
    if (llama_decode(context, batch) != 0) return 1;
    FILE * out = fopen(argv[2], "wb");
    const int n_vocab = llama_vocab_n_tokens(llama_model_get_vocab(model));
    for (size_t i = 0; i < tokens.size(); i++) fwrite(llama_get_logits_ith(context, i), 4, n_vocab, out);
    return fclose(out);
}
