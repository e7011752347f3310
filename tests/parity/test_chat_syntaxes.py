"""Which syntax of calls and reasoning is found in templates of published models: by rendering alone, without their tokenizers. Runs
where WICK_CHAT_TEMPLATES names a folder of them (for example the one in the source package of llama-cpp-python)."""
import json

import pytest
from test_chat_layer import program, published, wick

# name of the file -> syntax of calls, opening tag of reasoning
WANT = {
    "Apertus-8B-Instruct": ("apertus", None),
    "Apriel-1.6-15b-Thinker-fixed": ("hunyuan", "Here are my reasoning steps:"),
    "ByteDance-Seed-OSS": ("seed-oss", "<seed:think>"),
    "CohereForAI-c4ai-command-r-plus-tool_use": ("command-r", None),
    "CohereForAI-c4ai-command-r7b-12-2024-tool_use": ("command-r7b", "<|START_THINKING|>"),
    "GLM-4.6": ("glm4", "<think>"),
    "GLM-4.7-Flash": ("glm4", "<think>"),
    "GigaChat3-10B-A1.8B": ("gigachat3", None),
    "GigaChat3.1-10B-A1.8B": ("gigachat3.1", None),
    "HuggingFaceTB-SmolLM3-3B": ("hermes", "<think>"),
    "Kimi-K3": ("kimi-k3", "<|open|>think<|sep|>"),
    "LFM2.5-8B-A1B": ("lfm2", "<think>"),
    "MiniMax-M1": ("hunyuan", None),
    "MiniMax-M2": ("minimax-m2", "<think>"),
    "MiniMax-M3": ("minimax-m3", "<mm:think>"),
    "Mistral-Small-3.2-24B-Instruct-2506": ("mistral-ids", None),
    "NVIDIA-Nemotron-3-Nano-30B-A3B-BF16": ("qwen3-coder", "<think>"),
    "NVIDIA-Nemotron-Nano-v2": ("nemotron", "<think>"),
    "NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use": ("hermes", None),
    "NousResearch-Hermes-3-Llama-3.1-8B-tool_use": ("hermes", None),
    "Qwen-QwQ-32B": ("hermes", "<think>"),
    "Qwen-Qwen2.5-7B-Instruct": ("hermes", None),
    "Qwen-Qwen3-0.6B": ("hermes", "<think>"),
    "Qwen3-Coder": ("qwen3-coder", None),
    "Qwen3.5-4B": ("qwen3-coder", "<think>"),
    "StepFun3.5-Flash": ("qwen3-coder", "<think>"),
    "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B": ("deepseek", "<think>"),
    "deepseek-ai-DeepSeek-V3.1": ("deepseek-v3.1", "<think>"),
    "deepseek-ai-DeepSeek-V3.2": ("deepseek-dsml", "<think>"),
    "deepseek-ai-DeepSeek-V4": ("deepseek-dsml", "<think>"),
    "fireworks-ai-llama-3-firefunction-v2": ("functools", None),
    "google-gemma-2-2b-it": ("hermes", None),
    "google-gemma-4-31B-it": ("gemma4", "<|channel>thought"),
    "ibm-granite-granite-3.3-2B-Instruct": ("granite3", "<think>"),
    "ibm-granite-granite-4.0": ("hermes", None),
    "inclusionai-ling-3.0-flash": ("glm4", "<think>"),
    "meetkai-functionary-medium-v3.1": ("functionary-v3.1", None),
    "meetkai-functionary-medium-v3.2": ("functionary", None),
    "meta-llama-Llama-3.1-8B-Instruct": ("llama", None),
    "meta-llama-Llama-3.3-70B-Instruct": ("llama", None),
    "microsoft-Phi-3.5-mini-instruct": ("hermes", None),
    "mistralai-Ministral-3-14B-Reasoning-2512": ("mistral-args", "[THINK]"),
    "mistralai-Mistral-Nemo-Instruct-2407": ("mistral", None),
    "moonshotai-Kimi-K2": ("kimi-k2", None),
    "openai-gpt-oss-120b": ("harmony", "<|channel|>analysis<|message|>"),
    "openbmb-MiniCPM5-1B": ("minicpm5", "<think>"),
    "tencent-Hy3": ("hy3", "<think:opensource>"),
    "unsloth-mistral-Devstral-Small-2507": ("mistral-args", None),
    "upstage-Solar-Open-100B": ("solar-open", "<|think|>"),
}

pytestmark = pytest.mark.skipif(program() is None or not published(), reason="no templates of published models, or no wick_chat")


def test_published_templates():
    templates = {k: v for k, v in published().items() if k in WANT}
    assert len(templates) > 20, "the folder holds few of the templates that are known here"
    got = dict(zip(templates, wick([{"template": t} for t in templates.values()])))
    wrong = {k: (got[k].get("calls"), got[k].get("think")) for k in templates if (got[k].get("calls"), got[k].get("think")) != WANT[k]}
    assert not wrong, json.dumps(wrong, indent=1)
