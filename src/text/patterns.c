/* text/patterns.c - which names share which pattern. The patterns are those of the models' own tokenizer.json files,
 * in Oniguruma syntax; regex.c translates. */
#include "text/patterns.h"
#include <string.h>

#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define LINES_AND_SPACES "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define CL100K_TAIL(digits) digits "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" LINES_AND_SPACES
#define CL100K_WITH(letters, digits) CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?" letters "|" CL100K_TAIL(digits)
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define O200K_WITH(digits)                                                                               \
    "[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+" CONTRACTIONS "?|[^\\r\\n\\p{L}\\p{N}]?" UPPER "+" LOWER \
    "*" CONTRACTIONS "?|" digits "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" LINES_AND_SPACES
#define O200K O200K_WITH("\\p{N}{1,3}")
/* a mark of ASCII with the word behind it, words with their marks, marks, line ends, spaces */
#define MARKED_WORD "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
#define DEEPSEEK_WORDS MARKED_WORD "| ?[\\p{P}\\p{S}]+[\\r\\n]*|" LINES_AND_SPACES
#define HAN_KANA "[\\x{4e00}-\\x{9fa5}\\x{3040}-\\x{309f}\\x{30a0}-\\x{30ff}]+"
#define TEKKEN                                                                          \
    "[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+|[^\\r\\n\\p{L}\\p{N}]?" UPPER "+" LOWER \
    "*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

const char *const wick_pattern_cl100k = CL100K_WITH("\\p{L}+", "\\p{N}{1,3}");
const char *const wick_pattern_llama3 = CL100K_WITH("\\p{L}+", "\\p{N}{1,3}");
const char *const wick_pattern_o200k = O200K;

static const char *const gpt2[] = {GPT2, NULL};
static const char *const gpt2_digits[] = {"\\p{N}", GPT2, NULL}; /* each digit alone */
static const char *const llama3[] = {CL100K_WITH("\\p{L}+", "\\p{N}{1,3}"), NULL};
static const char *const qwen2[] = {CL100K_WITH("\\p{L}+", "\\p{N}"), NULL};
static const char *const qwen35[] = {
    CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" LINES_AND_SPACES,
    NULL};
static const char *const o200k[] = {O200K, NULL};
static const char *const tekken[] = {TEKKEN, NULL};
static const char *const deepseek_llm[] = {
    "[\\r\\n]",
    "\\s?[A-Za-z\\x{b5}\\x{c0}-\\x{d6}\\x{d8}-\\x{f6}\\x{f8}-\\x{1ba}\\x{1bc}-\\x{1bf}\\x{1c4}-\\x{293}\\x{295}-\\x{"
    "2af}\\x{370}-\\x{373}\\x{376}\\x{377}"
    "\\x{37b}-\\x{37d}\\x{37f}\\x{386}\\x{388}-\\x{38a}\\x{38c}\\x{38e}-\\x{3a1}\\x{3a3}-\\x{3f5}\\x{3f7}-\\x{481}\\x{"
    "48a}-\\x{52f}\\x{531}-\\x{556}"
    "\\x{10a0}-\\x{10c5}\\x{13a0}-\\x{13f5}\\x{13f8}-\\x{13fd}\\x{1c90}-\\x{1cba}\\x{1cbd}-\\x{1cbf}\\x{1d00}-\\x{1d2b}"
    "\\x{1d6b}-\\x{1d77}\\x{1d79}-\\x{1d9a}"
    "\\x{1e00}-\\x{1f15}\\x{1f18}-\\x{1f1d}\\x{1f20}-\\x{1f45}\\x{1f48}-\\x{1f4d}\\x{1f50}-\\x{1f57}\\x{1f59}\\x{1f5b}"
    "\\x{1f5d}\\x{1f5f}-\\x{1f7d}"
    "\\x{1f80}-\\x{1fb4}\\x{1fb6}-\\x{1fbc}\\x{1fbe}\\x{1fc2}-\\x{1fc4}\\x{1fc6}-\\x{1fcc}\\x{1fd0}-\\x{1fd3}\\x{1fd6}-"
    "\\x{1fdb}\\x{1fe0}-\\x{1fec}"
    "\\x{1ff2}-\\x{1ff4}\\x{1ff6}-\\x{1ffc}\\x{2102}\\x{2107}\\x{210a}-\\x{2113}\\x{2115}\\x{2119}-\\x{211d}\\x{2124}"
    "\\x{2126}\\x{2128}\\x{212a}-\\x{212d}"
    "\\x{212f}-\\x{2134}\\x{2139}\\x{213c}-\\x{213f}\\x{2145}-\\x{2149}\\x{214e}\\x{2183}\\x{2184}\\x{2c00}-\\x{2c7b}"
    "\\x{2c7e}-\\x{2ce4}\\x{2ceb}-\\x{2cee}"
    "\\x{2cf2}\\x{2cf3}\\x{a640}-\\x{a66d}\\x{a680}-\\x{a69b}\\x{a722}-\\x{a76f}\\x{a771}-\\x{a787}\\x{a78b}-\\x{a78e}"
    "\\x{ab70}-\\x{abbf}\\x{fb00}-\\x{fb06}"
    "\\x{fb13}-\\x{fb17}\\x{ff21}-\\x{ff3a}\\x{ff41}-\\x{ff5a}\\x{10400}-\\x{1044f}\\x{104b0}-\\x{104d3}\\x{104d8}-\\x{"
    "104fb}\\x{10c80}-\\x{10cb2}"
    "\\x{10cc0}-\\x{10cf2}\\x{118a0}-\\x{118df}\\x{1e900}-\\x{1e943}]+",
    "\\s?[!-/:-~\\x{ff01}-\\x{ff0f}\\x{ff1a}-\\x{ff5e}\\x{2018}-\\x{201f}\\x{3000}-\\x{3002}]+",
    "\\s+$",
    "[\\x{4e00}-\\x{9fa5}\\x{800}-\\x{4e00}\\x{ac00}-\\x{d7ff}]+",
    "\\p{N}+",
    NULL};
static const char *const deepseek_coder[] = {
    "[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", "[\\x{4e00}-\\x{9fa5}\\x{800}-\\x{4e00}\\x{ac00}-\\x{d7ff}]+",
    "\\p{N}",   NULL};
static const char *const deepseek_v3[] = {"\\p{N}{1,3}", HAN_KANA, DEEPSEEK_WORDS, NULL};
static const char *const spark[] = {"\\p{N}{1,3}", HAN_KANA, MARKED_WORD "| ?[\\p{P}\\p{S}]+|[\\r\\n]|\\s+(?!\\S)|\\s+",
                                    "\\p{N}", NULL};
/* thousands from the right, then the scripts without spaces between words */
static const char *const afmoe[] = {
    "\\p{N}{1,3}(?=(?:\\p{N}{3})*(?!\\p{N}))",
    "[\\x{4e00}-\\x{9fff}\\x{3400}-\\x{4dbf}\\x{f900}-\\x{faff}\\x{3040}-\\x{309f}\\x{30a0}-\\x{30ff}\\x{ff65}-\\x{"
    "ff9f}"
    "\\x{2f00}-\\x{2fdf}\\x{e40}-\\x{e7f}\\x{e80}-\\x{eff}\\x{1780}-\\x{17ff}\\x{1000}-\\x{109f}\\x{aa60}-\\x{aa7f}"
    "\\x{a9e0}-\\x{a9ff}\\x{ac00}-\\x{d7af}\\x{1100}-\\x{11ff}]+",
    DEEPSEEK_WORDS, NULL};
static const char *const youtu[] = {
    "[\\x{ac00}-\\x{d7a3}\\x{3131}-\\x{318e}]+|[\\x{ff01}\\x{2026}\\x{201c}\\x{201d}\\x{2018}\\x{2019}\\x{2014}\\x{"
    "ff1a}\\x{ff1b}"
    "\\x{ff0c}\\x{3001}-\\x{303f}\\x{fe30}-\\x{fe4f}]+|[\\x{3105}-\\x{312f}]+|" HAN_KANA,
    O200K_WITH("\\p{N}"), NULL};
static const char *const tiny_aya[] = {"\\d{1,3}(?=(?:\\d{3})*\\b)", O200K, NULL};
static const char *const jais2[] = {
    CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|"
                 "\\s{512}(?!\\S)|\\s{256}(?!\\S)|\\s{128}(?!\\S)|\\s{64}(?!\\S)|\\s{32}(?!\\S)|\\s{16}(?!\\S)|"
                 "\\s{8}(?!\\S)|\\s{4}(?!\\S)|\\s{1,2}(?!\\S)|\\s{1}",
    NULL};
/* letters with their marks run over single spaces */
static const char *const exaone_moe[] = {
    CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?(?:\\p{L}\\p{M}*(?: \\p{L}\\p{M}*)*)+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]?|"
                 "\\s*[\\r\\n]|\\s+(?!\\S)|\\s+",
    NULL};
static const char *const minicpm5[] = {"\\p{N}{1,3}", CL100K_WITH("\\p{L}+", "\\p{N}+"), NULL};
static const char *const ufakzeka[] = {"[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" CL100K_TAIL("\\p{N}"), NULL};
static const char *const laguna[] = {"[^\\n]+|[\\n]+", CL100K_WITH("\\p{L}+", "\\p{N}"), NULL};
static const char *const falcon[] = {"[\\p{P}\\$\\+<=>\\^~\\|`]+", GPT2, "[0-9][0-9][0-9]", NULL};
static const char *const poro[] = {
    " ?[^(\\s|.,!?\xE2\x80\xA6\xE3\x80\x82\xEF\xBC\x8C\xE3\x80\x81\xE0\xA5\xA4\xDB\x94\xD8\x8C)]+", NULL};
static const char *const viking[] = {
    " ?[^(\\s|.,!?\xE2\x80\xA6\xE3\x80\x82\xEF\xBC\x8C\xE3\x80\x81\xE0\xA5\xA4\xDB\x94\xD8\x8C)]+", "\\p{N}", NULL};
static const char *const super_bpe[] = {"\\p{N}+", "(?=(\\d{3})+(?!\\d))", NULL};
static const char *const seed_coder[] = {
    CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
    NULL};
static const char *const chameleon[] = {"<sentinel:[0-9]+>",
                                        "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z",
                                        "([\\t\\n]|    |  )",
                                        "\\p{N}",
                                        "[\\p{P}!-/:-@\\[-`{-~]",
                                        GPT2,
                                        NULL};
static const char *const bailing[] = {"'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}|"
                                      " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+",
                                      NULL};
static const char *const kimi[] = {"[\\p{Han}]+|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]"
                                   "*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]+" CONTRACTIONS
                                   "?|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]+[\\p{Ll}"
                                   "\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]*" CONTRACTIONS
                                   "?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
                                   NULL};
static const char *const lines[] = {"[^\\n]+|[\\n]+", NULL};
/* what llama.cpp does where a file names no pattern */
static const char *const unnamed[] = {"[\\p{P}\\$\\+<=>\\^~\\|]+", GPT2, "\\p{N}+", "[0-9][0-9][0-9]", NULL};

static const struct {
    const char *name;
    const char *const *regex;
    bool whole_first, add_bos, spaced, nfc, words;
} table[] = {
    {"llama3", llama3, 1, 1, 0, 0, 0},
    {"llama-v3", llama3, 1, 1, 0, 0, 0},
    {"llama-bpe", llama3, 1, 1, 0, 0, 0},
    {"falcon3", llama3, 1, 1, 0, 0, 0},
    {"falcon-h1", llama3, 1, 1, 0, 0, 0},
    {"pixtral", tekken, 1, 1, 0, 0, 0},
    {"tekken", tekken, 1, 1, 0, 0, 0},
    {"midm-2.0", llama3, 1, 1, 0, 0, 0},
    {"lfm2", llama3, 1, 1, 0, 0, 0},
    {"jina-v5-nano", llama3, 1, 1, 0, 0, 0},
    {"smaug-bpe", llama3, 0, 0, 0, 0, 0},
    {"dbrx", llama3, 0, 0, 0, 0, 0},
    {"chatglm-bpe", llama3, 0, 0, 0, 0, 0},
    {"glm4", llama3, 1, 0, 0, 0, 0},
    {"gpt-2", gpt2, 0, 0, 0, 0, 0},
    {"phi-2", gpt2, 0, 0, 0, 0, 0},
    {"jina-es", gpt2, 0, 0, 0, 0, 0},
    {"jina-de", gpt2, 0, 0, 0, 0, 0},
    {"gigachat", gpt2, 0, 0, 0, 0, 0},
    {"jina-v2-es", gpt2, 0, 0, 0, 0, 0},
    {"jina-v2-de", gpt2, 0, 0, 0, 0, 0},
    {"a.x-4.0", gpt2, 0, 0, 0, 0, 0},
    {"mellum", gpt2, 0, 0, 0, 0, 0},
    {"modern-bert", gpt2, 0, 0, 0, 0, 0},
    {"jina-v1-en", gpt2, 0, 0, 0, 0, 0},
    {"jina-v2-code", gpt2, 0, 0, 0, 0, 0},
    {"roberta-bpe", gpt2, 0, 1, 0, 0, 0},
    {"mpt", gpt2, 0, 0, 0, 0, 0},
    {"olmo", gpt2, 0, 0, 0, 0, 0},
    {"jais", gpt2, 0, 0, 0, 0, 0},
    {"trillion", gpt2, 0, 0, 0, 0, 0},
    {"granite-docling", gpt2, 0, 0, 0, 0, 0},
    {"starcoder", gpt2_digits, 0, 0, 0, 0, 0},
    {"refact", gpt2_digits, 0, 0, 0, 0, 0},
    {"command-r", gpt2_digits, 0, 0, 0, 0, 0},
    {"smollm", gpt2_digits, 0, 0, 0, 0, 0},
    {"codeshell", gpt2_digits, 0, 0, 0, 0, 0},
    {"exaone", gpt2_digits, 0, 0, 0, 0, 0},
    {"minerva-7b", gpt2_digits, 0, 0, 0, 0, 0},
    {"megrez", qwen2, 0, 0, 0, 0, 0},
    {"qwen2", qwen2, 0, 0, 0, 1, 0},
    {"qwen35", qwen35, 0, 0, 0, 1, 0},
    {"stablelm2", qwen2, 0, 0, 0, 0, 0},
    {"deepseek-r1-qwen", qwen2, 0, 0, 0, 1, 0},
    {"hunyuan", qwen2, 0, 0, 0, 0, 0},
    {"kormo", qwen2, 0, 0, 0, 0, 0},
    {"solar-open", qwen2, 0, 0, 0, 0, 0},
    {"exaone4", gpt2, 0, 0, 0, 0, 0},
    {"gpt-4o", o200k, 0, 0, 0, 0, 0},
    {"llama4", o200k, 0, 1, 0, 0, 0},
    {"o200k", o200k, 0, 0, 0, 0, 0},
    {"minimax-m2", o200k, 0, 0, 0, 0, 0},
    {"deepseek-llm", deepseek_llm, 0, 0, 0, 0, 0},
    {"deepseek-coder", deepseek_coder, 0, 0, 0, 0, 0},
    {"deepseek-v3", deepseek_v3, 0, 0, 0, 0, 0},
    {"hunyuan-dense", deepseek_v3, 0, 0, 0, 0, 0},
    {"joyai-llm", deepseek_v3, 0, 0, 0, 0, 0},
    {"falcon", falcon, 0, 0, 0, 0, 0},
    {"poro-chat", poro, 0, 0, 0, 0, 0},
    {"bloom", poro, 0, 0, 0, 0, 0},
    {"gpt3-finnish", poro, 0, 0, 0, 0, 0},
    {"viking", viking, 0, 0, 0, 0, 0},
    {"superbpe", super_bpe, 0, 0, 0, 0, 0},
    {"seed-coder", seed_coder, 0, 0, 0, 0, 0},
    {"chameleon", chameleon, 0, 1, 0, 0, 0},
    {"bailingmoe", bailing, 0, 0, 0, 0, 0},
    {"bailingmoe2", bailing, 0, 0, 0, 0, 0},
    {"llada-moe", bailing, 0, 0, 0, 0, 0},
    {"grok-2", qwen2, 0, 0, 0, 0, 0},
    {"kimi-k2", kimi, 0, 0, 0, 0, 0},
    {"minicpm", gpt2, 0, 0, 0, 0, 0},
    {"gemma4", lines, 0, 1, 1, 0, 0},
    {"minicpm5", minicpm5, 1, 0, 0, 0, 0},
    {"spark2_5", spark, 0, 0, 0, 0, 0},
    {"youtu", youtu, 1, 0, 0, 0, 0},
    {"jais-2", jais2, 0, 0, 0, 0, 0},
    {"granite-embed-multi-311m", lines, 0, 1, 1, 0, 0},
    {"granite-embed-multi-97m", o200k, 1, 0, 0, 0, 0},
    {"sarvam-moe", lines, 0, 0, 1, 0, 0},
    {"f2llmv2", qwen2, 0, 0, 0, 1, 0},
    {"glm5", llama3, 1, 0, 0, 0, 0},
    {"exaone-moe", exaone_moe, 0, 0, 0, 0, 0},
    {"kanana2", o200k, 0, 0, 0, 0, 0},
    {"talkie", o200k, 0, 0, 0, 0, 0},
    {"tiny_aya", tiny_aya, 0, 0, 0, 0, 0},
    {"cohere2moe", tiny_aya, 0, 0, 0, 0, 0},
    {"hy_v4", deepseek_v3, 0, 0, 0, 0, 0},
    {"ufakzeka", ufakzeka, 0, 0, 0, 0, 0},
    {"afmoe", afmoe, 0, 0, 0, 0, 0},
    {"laguna", laguna, 0, 0, 0, 0, 0},
    {"mellum2", gpt2_digits, 0, 0, 0, 0, 0},
    {"whitespace", NULL, 0, 0, 0, 0, 1},
};

wick_pattern wick_pattern_of(const char *pre, bool *known)
{
    *known = true;
    for (size_t i = 0; pre && i < sizeof table / sizeof *table; i++)
        if (strcmp(table[i].name, pre) == 0)
            return (wick_pattern){table[i].regex,  table[i].whole_first, table[i].add_bos,
                                  table[i].spaced, table[i].nfc,         table[i].words};
    *known = !pre || strcmp(pre, "default") == 0;
    return (wick_pattern){.regex = unnamed};
}
