// What llama.cpp makes of texts, for `record.py`: its vocabulary code and nothing else of it.
//
// usage: reference words|tokens FILE.gguf < texts
//
// The texts come as (u32 length, bytes). Each gives one line of JSON: the words that a BPE tokenizer splits it into, as
// counts of code points; or its tokens plainly, with the special tokens of the file added, and with special tokens parsed.

#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

// `llama_vocab` keeps its tokenizer to itself.
#include "llama-vocab.cpp"

static std::string list(const std::vector<size_t> & numbers) {
    std::string text;
    for (size_t n : numbers) {
        text += (text.empty() ? "" : ",") + std::to_string(n);
    }
    return "[" + text + "]";
}

static std::string tokens(const llama_vocab & vocab, const std::string & text, bool add, bool parse) {
    std::vector<size_t> ids;
    for (llama_token id : vocab.tokenize(text, add, parse)) {
        ids.push_back(id);
    }
    return list(ids);
}

static std::string words(const llama_vocab & vocab, const std::string & text) {
    std::vector<size_t> lens;
    for (const std::string & word : unicode_regex_split(text, llm_tokenizer_bpe(vocab).regex_exprs, false)) {
        if (!word.empty()) {
            lens.push_back(unicode_cpts_from_utf8(word).size());
        }
    }
    return list(lens);
}

int main(int argc, char ** argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: reference words|tokens FILE.gguf < texts\n");
        return 2;
    }
    const bool want_words = strcmp(argv[1], "words") == 0;
    llama_log_set([](ggml_log_level, const char *, void *) {}, nullptr);
    gguf_context * metadata = gguf_init_from_file(argv[2], { true, nullptr });
    if (metadata == nullptr) {
        fprintf(stderr, "%s cannot be read\n", argv[2]);
        return 1;
    }
    std::vector<std::string> splits;
    llama_model_loader loader(metadata, nullptr, nullptr, "", splits, nullptr, LLAMA_LOAD_MODE_NONE, false, true, false,
                              nullptr, nullptr);
    llama_vocab vocab;
    vocab.load(loader, LLM_KV(LLM_ARCH_LLAMA));
    uint32_t len;
    while (fread(&len, sizeof len, 1, stdin) == 1) {
        std::string text(len, '\0');
        if (fread(text.data(), 1, len, stdin) != len) {
            return 1;
        }
        if (want_words) {
            printf("%s\n", words(vocab, text).c_str());
        } else {
            printf("[%s,%s,%s]\n", tokens(vocab, text, false, false).c_str(), tokens(vocab, text, true, false).c_str(),
                   tokens(vocab, text, false, true).c_str());
        }
    }
}
