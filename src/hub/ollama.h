/* hub/ollama.h - models that Ollama has downloaded or made: manifests that name blobs by digest.
 *
 * A tag's manifest lists layers: the weights (a GGUF file), and small ones: template (in Go's syntax), system text,
 * parameters. */
#pragma once
#include <jansson.h>
#include "hub/scan.h"

/* Its folder of models, whether it is there or not; caller wick_free()s; NULL: none is known. */
char *wick_ollama_root(const wick_discover_opts *o);
wick_status wick_ollama_scan(wick_model_scan *s, const wick_discover_opts *o) WICK_MUST_CHECK;

typedef struct wick_ollama_settings {
    char *system, *go_template; /* NULL: none */
    json_t *parameters;         /* an object as Ollama has it: "temperature", "stop": [...], "num_ctx"; or NULL */
    bool adapter;               /* the tag needs a LoRA adapter, which is not in the GGUF file */
} wick_ollama_settings;

/* What a manifest says beside the weights. A layer that is missing or damaged is an error that names the blob. */
wick_status wick_ollama_settings_read(wick_ollama_settings *s, const char *manifest, wick_err *err) WICK_MUST_CHECK;
void wick_ollama_settings_release(wick_ollama_settings *s);
