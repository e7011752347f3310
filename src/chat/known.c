/* chat/known.c - see known.h. */
#include "chat/known.h"
#include <stdio.h>
#include <string.h>

typedef struct known {
    const char *name, *aliases; /* aliases: "|a|b|" */
    const char *mark;           /* a control token that only this family has; NULL: not to be guessed */
    const char *text;
} known;

/* The rows are tried from the top, so what is more special stands first. */
static const known table[] = {
    {"llama3", "|llama-3|llama31|llama32|", "<|start_header_id|>",
     "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content | trim "
     "}}<|eot_id|>{% endfor %}"
     "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"},
    {"gemma", "|gemma2|gemma3|", "<start_of_turn>",
     "{{ bos_token }}{% set ns = namespace(system='') %}{% for m in messages %}{% if m.role == 'system' %}{% set "
     "ns.system = m.content ~ '\n\n' %}"
     "{% else %}<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n{% if m.role == 'user' %}{{ "
     "ns.system }}"
     "{% set ns.system = '' %}{% endif %}{{ m.content | trim }}<end_of_turn>\n{% endif %}{% endfor %}"
     "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"},
    {"phi4", "|phi-4|", "<|im_sep|>",
     "{% for m in messages %}<|im_start|>{{ m.role }}<|im_sep|>{{ m.content }}<|im_end|>{% endfor %}"
     "{% if add_generation_prompt %}<|im_start|>assistant<|im_sep|>{% endif %}"},
    {"chatml", "|qwen|qwen2|qwen3|yi|", "<|im_start|>",
     "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
     "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"},
    {"phi3", "|phi-3|phi|", "<|end|>",
     "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}{% if add_generation_prompt "
     "%}<|assistant|>\n{% endif %}"},
    {"granite", "|granite3|", "<|start_of_role|>",
     "{% for m in messages %}<|start_of_role|>{{ m.role }}<|end_of_role|>{{ m.content }}<|end_of_text|>\n{% endfor %}"
     "{% if add_generation_prompt %}<|start_of_role|>assistant<|end_of_role|>{% endif %}"},
    {"command-r", "|cohere|commandr|", "<|START_OF_TURN_TOKEN|>",
     "{{ bos_token }}{% for m in messages %}<|START_OF_TURN_TOKEN|><|{{ 'CHATBOT' if m.role == 'assistant' else m.role "
     "| upper }}_TOKEN|>"
     "{{ m.content | trim }}<|END_OF_TURN_TOKEN|>{% endfor %}"
     "{% if add_generation_prompt %}<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>{% endif %}"},
    {"llama2", "|llama-2|", "<<SYS>>",
     "{% set ns = namespace(system='') %}{% for m in messages %}{% if m.role == 'system' %}{% set ns.system = "
     "'<<SYS>>\n' ~ m.content ~ "
     "'\n<</SYS>>\n\n' %}{% elif m.role == 'user' %}{{ bos_token }}[INST] {{ ns.system }}{{ m.content | trim }} "
     "[/INST]{% set ns.system = '' %}"
     "{% else %} {{ m.content | trim }} {{ eos_token }}{% endif %}{% endfor %}"},
    {"mistral", "|mixtral|mistral-v1|mistral-v3|", "[INST]",
     "{{ bos_token }}{% set ns = namespace(system='') %}{% for m in messages %}{% if m.role == 'system' %}{% set "
     "ns.system = m.content ~ '\n\n' %}"
     "{% elif m.role == 'user' %}[INST] {{ ns.system }}{{ m.content | trim }} [/INST]{% set ns.system = '' %}"
     "{% else %} {{ m.content | trim }}{{ eos_token }}{% endif %}{% endfor %}"},
    {"zephyr", "|tinyllama|", "<|user|>",
     "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}{{ eos_token }}\n{% endfor %}{% if add_generation_prompt "
     "%}<|assistant|>\n{% endif %}"},
    {"vicuna", "|vicuna-orca|", "USER:",
     "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}{{ m.content }}\n\n{% elif m.role == 'user' "
     "%}USER: {{ m.content }}\n"
     "{% else %}ASSISTANT: {{ m.content }}{{ eos_token }}\n{% endif %}{% endfor %}{% if add_generation_prompt "
     "%}ASSISTANT:{% endif %}"},
    {"alpaca", "|", "### Instruction:",
     "{% for m in messages %}{% if m.role == 'system' %}{{ m.content }}\n\n{% elif m.role == 'user' %}### "
     "Instruction:\n{{ m.content }}\n\n"
     "{% else %}### Response:\n{{ m.content }}{{ eos_token }}\n\n{% endif %}{% endfor %}{% if add_generation_prompt "
     "%}### Response:\n{% endif %}"},
};
enum { N_KNOWN = sizeof table / sizeof *table };

const char *wick_chat_known_template(const char *name)
{
    char between[48];
    if (strlen(name) + 3 > sizeof between || strchr(name, '|')) return NULL;
    snprintf(between, sizeof between, "|%s|", name);
    for (size_t i = 0; i < N_KNOWN; i++)
        if (strcmp(table[i].name, name) == 0 || (*name && strstr(table[i].aliases, between))) return table[i].text;
    return NULL;
}

const char *wick_chat_known_of_go(const char *go_template)
{
    for (size_t i = 0; i < N_KNOWN; i++)
        if (table[i].mark && strstr(go_template, table[i].mark)) return table[i].name;
    return NULL;
}

char *wick_chat_known_names(char *dst, size_t cap)
{
    size_t w = 0;
    if (cap) *dst = '\0';
    for (size_t i = 0; i < N_KNOWN && w < cap; i++)
        w += (size_t)snprintf(dst + w, cap - w, "%s%s", i ? ", " : "", table[i].name);
    return dst;
}
