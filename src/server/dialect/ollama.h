/* server/dialect/ollama.h - Ollama's API. */
#pragma once
#include "server/dialect/dialect.h"

extern const wick_dialect wick_dialect_ollama;
